"""Memory-consistent networks (Sridhar et al. 2024): near a memory, do what was done there."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import torch
from torch import Tensor

from robot_policy.core.errors import ConfigError
from robot_policy.core.observation import ACTION, EPISODE
from robot_policy.core.specs import PolicySpec
from robot_policy.nets.draws import Draws
from robot_policy.nets.memory_bank import MemoryBank, leave_one_out
from robot_policy.nets.memory_choice import CHOICES
from robot_policy.nets.mlp import mlp
from robot_policy.nets.observation_encoder import ObservationEncoder
from robot_policy.nets.vision import VisionConfig
from robot_policy.policies.module import Batch, PolicyModule, masked_mean


@dataclass(frozen=True)
class McnnConfig(VisionConfig):
    """Hyper-parameters of `Mcnn`."""

    history: int = 2
    """Observations the policy looks at, T."""
    horizon: int = 16
    """Actions it predicts, H."""
    hidden: tuple[int, ...] = (512, 512)
    """Width of each hidden layer of the network."""
    loss: Literal["l1", "l2"] = "l1"
    """Regression loss of the blended chunk."""
    memories: float = 0.1
    """Part of the training windows that is remembered."""
    choice: Literal["neural_gas", "farthest", "random"] = "neural_gas"
    """How memories are chosen."""
    weight_at_quantile: float = 0.5
    """Weight of the memory at the distance `distance_quantile`, which sets lambda."""
    distance_quantile: float = 0.5
    """Quantile of the distances from training windows to memories of other episodes."""
    neighbour_as_input: bool = False
    """The control: the network is shown the nearest memory's chunk and distance, and nothing is
    blended."""
    most_megabytes: float = 512.0
    """Memories that would take more are refused."""
    mask_padding: bool = True
    """Leave steps beyond the end of an episode out of the loss."""

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


class Mcnn(PolicyModule[McnnConfig]):
    """A network that gives way to a nearest-neighbour policy where a memory is near.

        f(x) = a(m) e^{-lambda d} + L (1 - e^{-lambda d}) tanh(f_theta(x))

    with m the nearest memory, d its distance and L = 1 in normalised actions
    (https://arxiv.org/abs/2310.06171, eq. 3). Whatever the weights, f lies within
    2 L (1 - e^{-lambda d}) of the memory's chunk. Against the published code: distances and search
    are in the same, normalised space; a training window never finds its own episode; lambda comes
    from a quantile of the distances; a memory is a whole chunk.
    """

    config_type = McnnConfig
    presets: ClassVar[Mapping[str, McnnConfig]] = {
        "cpu": McnnConfig(),
        "gpu": McnnConfig(hidden=(1024, 1024, 1024)),
    }
    sees_cameras = False

    rate: Tensor

    def __init__(self, config: McnnConfig, spec: PolicySpec) -> None:
        super().__init__(config, spec)
        self.encoder = ObservationEncoder(spec, config)
        shape = (spec.horizon, spec.action.size)
        features, size = self.encoder.out_features, math.prod(shape)
        self.bank = MemoryBank(features, shape)
        extra = size + 1 if config.neighbour_as_input else 0
        self.net = mlp(features + extra, config.hidden, size)
        self.register_buffer("rate", torch.zeros(()))

    @classmethod
    def complete_spec(cls, config: McnnConfig, source: PolicySpec) -> PolicySpec:
        """Sets history and horizon."""
        return replace(source, history=config.history, horizon=config.horizon, past=0)

    @torch.no_grad()
    def memorise(self, windows: Batch, *, seed: int) -> None:
        """Chooses the memories, and lambda.

        Args:
            windows: All training windows.
            seed: Of the choice.

        Raises:
            ConfigError: If they would take more memory than is allowed.
        """
        keys, episodes = self.encoder(windows).flatten(1), windows[EPISODE]
        count = max(1, round(self.config.memories * len(keys)))
        self.bank.check_size(count, most_megabytes=self.config.most_megabytes)
        generator = torch.Generator().manual_seed(seed)
        chosen = CHOICES[self.config.choice](keys.cpu(), count, generator).to(keys.device)
        self.bank.fill(keys[chosen], windows[ACTION][chosen], episodes[chosen])
        distances = leave_one_out(keys, episodes, self.bank)
        distances = distances[distances.isfinite()]
        if len(distances):
            usual = distances.quantile(self.config.distance_quantile).clamp(min=1e-6)
            self.rate.fill_(-math.log(self.config.weight_at_quantile) / usual)

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Returns the chunk (B, H, A), and the weight (B,) of the memory in it."""
        features = self.encoder(batch).flatten(1)
        if not len(self.bank):  # nothing was learned yet
            return self._network(features, None, None), features.new_zeros(features.shape[0])
        distance, index = self.bank.nearest(features, without=batch.get(EPISODE))
        chunk = self.bank.chunks[index]
        weight = torch.exp(-self.rate * distance)
        if self.config.neighbour_as_input:
            return self._network(features, chunk, weight), weight
        own = self._network(features, None, None)
        part = weight[:, None, None]
        return part * chunk.clamp(-1.0, 1.0) + (1.0 - part) * own, weight

    def loss(self, batch: Batch, *, draws: Draws) -> Tensor:
        """Returns the regression loss of the blended chunk; draws nothing."""
        del draws
        chunk, _ = self(batch)
        error = chunk - batch[ACTION]
        error = error.abs() if self.config.loss == "l1" else error**2
        return masked_mean(error, batch["action_is_pad"] if self.config.mask_padding else None)

    def decode(self, batch: Batch, noise: Tensor) -> Tensor:
        """Returns the one prediction N times, (B, N, H, A)."""
        chunk, _ = self(batch)
        return chunk[:, None].expand(-1, noise.shape[1], -1, -1)

    def _network(self, features: Tensor, chunk: Tensor | None, weight: Tensor | None) -> Tensor:
        if self.config.neighbour_as_input:
            size = self.spec.horizon * self.spec.action.size
            neighbour = features.new_zeros(features.shape[0], size + 1)
            if chunk is not None and weight is not None:
                neighbour = torch.cat([chunk.flatten(1), weight[:, None]], dim=1)
            features = torch.cat([features, neighbour], dim=1)
        return torch.tanh(self.net(features)).unflatten(-1, (-1, self.spec.action.size))
