"""Memory-consistent networks (Sridhar et al. 2024): near a memory, do what was done there."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, get_type_hints

import torch
from torch import Tensor

from robot_policy.core.errors import ConfigError, UnknownNameError
from robot_policy.core.observation import ACTION, EPISODE, STATE
from robot_policy.core.option_values import parse_value, split_words
from robot_policy.core.specs import ArraySpec, PolicySpec
from robot_policy.nets.draws import Draws
from robot_policy.nets.memory_bank import MemoryBank, frames_of, leave_one_out
from robot_policy.nets.memory_choice import CHOICES
from robot_policy.nets.observation_encoder import ObservationEncoder
from robot_policy.nets.vision import VisionConfig
from robot_policy.policies.module import ERROR_SCALE, Batch, PolicyModule, Trace
from robot_policy.policies.registry import POLICIES

BACKBONES = ("bc", "diffusion", "flow", "past_token")
"""Policies that heed `ERROR_SCALE`."""
_OPTION = "--policy.backbone-options"
_LEAST_OWN = 1e-3


@dataclass(frozen=True)
class McnnConfig:
    """Hyper-parameters of `Mcnn`."""

    backbone: Literal["bc", "diffusion", "flow", "past_token"] = "bc"
    """Policy that answers away from memories; any of the registry that weighs its errors."""
    backbone_preset: str = "cpu"
    """Preset of its hyper-parameters."""
    backbone_options: tuple[str, ...] = ()
    """Those of its hyper-parameters that differ from the preset, as key=value: network=transformer,
    for example."""
    memory: Literal["blend", "input", "none"] = "blend"
    """Blend the memory into the answer; or, as controls, show the nearest memory's chunk and weight
    to the backbone and blend nothing; or leave the backbone alone."""
    memories: float = 0.1
    """Part of the training windows that is remembered."""
    choice: Literal["neural_gas", "farthest", "random"] = "neural_gas"
    """How memories are chosen."""
    weight_at_quantile: float = 0.5
    """Weight of the memory at the distance `distance_quantile`, which sets lambda."""
    distance_quantile: float = 0.5
    """Quantile of the distances from training windows to memories of other episodes."""
    search: Literal["exact", "index"] = "exact"
    """How the nearest memory is found: looking at all, or by an index of faiss, which is faster
    among tens of thousands."""
    most_megabytes: float = 512.0
    """Memories that would take more are refused."""

    def __post_init__(self) -> None:
        for name in ("memories", "weight_at_quantile", "distance_quantile"):
            if not 0.0 < getattr(self, name) <= 1.0:
                raise ConfigError(
                    "out of range", where=name, expected="(0, 1]", got=getattr(self, name)
                )
        if self.weight_at_quantile == 1.0:
            raise ConfigError("lambda would be 0", where="weight_at_quantile", expected="below 1")
        if self.choice not in CHOICES:
            raise ConfigError("unknown choice", where="choice", valid=CHOICES, got=self.choice)
        self.inner()

    def inner(self) -> tuple[type[PolicyModule[Any]], Any]:
        """Returns the class of the backbone, and its hyper-parameters.

        Raises:
            ConfigError: If there is no such backbone, preset or hyper-parameter, or a value does
                not suit.
        """
        if self.backbone not in BACKBONES:
            raise UnknownNameError.of("backbone", self.backbone, BACKBONES)
        backbone: type[PolicyModule[Any]] = POLICIES[self.backbone]
        if self.backbone_preset not in backbone.presets:
            raise UnknownNameError.of("preset", self.backbone_preset, backbone.presets)
        hints = get_type_hints(backbone.config_type)
        values = split_words(self.backbone_options, option=_OPTION)
        for key in values:
            if key not in hints:
                raise UnknownNameError.of("hyper-parameter", key, hints, where=self.backbone)
        parsed = {
            key: parse_value(text, hints[key], where=key, option=_OPTION)
            for key, text in values.items()
        }
        return backbone, replace(backbone.presets[self.backbone_preset], **parsed)


class Mcnn(PolicyModule[McnnConfig]):
    """A policy that gives way to a nearest-neighbour policy where a memory is near.

        f(x) = w a(m) + L (1 - w) g(x),   w = e^{-lambda d}

    with m the nearest memory, d its distance, g the backbone's answer clipped to [-1, 1], and L = 1
    in normalised actions (https://arxiv.org/abs/2310.06171, eq. 3). Whatever the weights, f lies
    within 2 L (1 - w) of the memory's chunk.

    It wraps any backbone, because an error of f is one of g: with b = (a - w a(m)) / (1 - w) what
    the backbone would have to answer, f - a = (1 - w) (g - b). So the backbone learns b by the loss
    it has, its errors scaled by 1 - w; a diffusion policy learns the distribution of b, and the
    memory does not enter at every level of noise. Beyond [-1, 1] b is out of its reach and clipped.

    Against the published code: distances and search are in the same, normalised space; a training
    window never finds its own episode; lambda comes from a quantile of the distances; a memory is
    a whole chunk, at run time as in training.
    """

    config_type = McnnConfig
    presets: ClassVar[Mapping[str, McnnConfig]] = {
        "cpu": McnnConfig(),
        "gpu": McnnConfig(backbone_preset="gpu"),
    }
    sees_cameras = False

    rate: Tensor

    def __init__(self, config: McnnConfig, spec: PolicySpec) -> None:
        super().__init__(config, spec)
        self.encoder = ObservationEncoder(spec, VisionConfig())
        window = spec.past + spec.horizon
        self.bank = MemoryBank(
            self.encoder.out_features,
            (window, spec.action.size),
            indexed=config.search == "index",
        )
        shown = window * spec.action.size + 1 if config.memory == "input" else 0
        backbone, hyper_parameters = config.inner()
        seen = ArraySpec((spec.state.size + shown,)) if shown else spec.state
        self.backbone = backbone(hyper_parameters, replace(spec, state=seen))
        self.register_buffer("rate", torch.zeros(()))
        self._mean_weight: Tensor | None = None

    @classmethod
    def complete_spec(cls, config: McnnConfig, source: PolicySpec) -> PolicySpec:
        """Sets what the backbone sets; a blended chunk does not begin as it was told to."""
        backbone, hyper_parameters = config.inner()
        return replace(backbone.complete_spec(hyper_parameters, source), joins_prefix=False)

    @property
    def noise_shape(self) -> tuple[int, ...]:
        """Of the backbone."""
        return self.backbone.noise_shape

    def no_weight_decay(self) -> frozenset[str]:
        """As the backbone has it."""
        return frozenset(f"backbone.{name}" for name in self.backbone.no_weight_decay())

    def figures(self) -> Mapping[str, float]:
        """The mean weight of the memories in the last training batch."""
        return {} if self._mean_weight is None else {"memory_weight": float(self._mean_weight)}

    @torch.no_grad()
    def memorise(self, windows: Batch, *, seed: int) -> None:
        """Chooses the memories, and lambda.

        Args:
            windows: All training windows.
            seed: Of the choice.

        Raises:
            ConfigError: If they would take more memory than is allowed.
        """
        if self.config.memory == "none":
            return
        keys, episodes = self.encoder(windows).flatten(1), windows[EPISODE]
        count = max(1, round(self.config.memories * len(keys)))
        self.bank.check_size(count, most_megabytes=self.config.most_megabytes)
        generator = torch.Generator().manual_seed(seed)
        chosen = CHOICES[self.config.choice](keys.cpu(), count, generator).to(keys.device)
        chunks = windows[ACTION][chosen].clamp(-1.0, 1.0)
        self.bank.fill(keys[chosen], chunks, episodes[chosen], frames_of(episodes)[chosen])
        distances = leave_one_out(keys, episodes, self.bank)
        distances = distances[distances.isfinite()]
        if len(distances):
            usual = distances.quantile(self.config.distance_quantile).clamp(min=1e-6)
            self.rate.fill_(-math.log(self.config.weight_at_quantile) / usual)

    def recall(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Returns the nearest memory's chunk (B, P + H, A), and its weight (B,)."""
        features = self.encoder(batch).flatten(1)
        if not len(self.bank):  # nothing was learned yet
            rows = features.shape[0]
            chunk = features.new_zeros(rows, *self.bank.chunks.shape[1:])
            return chunk, features.new_zeros(rows)
        distance, index = self.bank.nearest(features, without=batch.get(EPISODE))
        return self.bank.chunks[index], torch.exp(-self.rate * distance)

    def trace(self, batch: Batch) -> Trace:
        """Returns the memory that is nearest to every situation."""
        distance, index = self.bank.nearest(self.encoder(batch).flatten(1))
        weight = torch.exp(-self.rate * distance)
        return Trace(self.bank.episodes[index], self.bank.frames[index], distance, weight)

    def loss(self, batch: Batch, *, draws: Draws) -> Tensor:
        """Returns the backbone's loss of what it has to answer."""
        if self.config.memory == "none":
            return self.backbone.loss(batch, draws=draws)
        chunk, weight = self.recall(batch)
        self._mean_weight = weight.detach().mean()
        if self.config.memory == "input":
            return self.backbone.loss(_showing(batch, chunk, weight), draws=draws)
        own = 1.0 - weight
        remembered = weight[:, None, None] * chunk
        wanted = (batch[ACTION] - remembered) / own.clamp(min=_LEAST_OWN)[:, None, None]
        asked = {**batch, ACTION: wanted.clamp(-1.0, 1.0), ERROR_SCALE: own}
        return self.backbone.loss(asked, draws=draws)

    def decode(self, batch: Batch, noise: Tensor) -> Tensor:
        """Returns N chunks per row, (B, N, P + H, A)."""
        if self.config.memory == "none":
            return self.backbone.decode(batch, noise).clamp(-1.0, 1.0)
        chunk, weight = self.recall(batch)
        if self.config.memory == "input":
            shown = _showing(batch, chunk, weight)
            return self.backbone.decode(shown, noise).clamp(-1.0, 1.0)
        own = self.backbone.decode(batch, noise).clamp(-1.0, 1.0)
        return torch.lerp(own, chunk[:, None], weight[:, None, None, None])


def _showing(batch: Batch, chunk: Tensor, weight: Tensor) -> dict[str, Tensor]:
    """Returns the batch with a memory's chunk and weight in every state."""
    memory = torch.cat([chunk.flatten(1), weight[:, None]], dim=1)
    state = batch[STATE]
    memory = memory[:, None].expand(-1, state.shape[1], -1)
    return {**batch, STATE: torch.cat([state, memory], dim=-1)}
