"""CLIP-RT (Kang et al. 2024, https://arxiv.org/abs/2411.00508): which sentence says what to do.

What is seen and asked for is compared with the sentences of motion primitives.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from robot_policy.core.errors import ConfigError
from robot_policy.core.observation import ACTION
from robot_policy.core.robot import load_robot
from robot_policy.core.specs import ActionSpace, PolicySpec
from robot_policy.nets.draws import Draws
from robot_policy.nets.language import INSTRUCTION, SentenceAndWords, make_text_encoder
from robot_policy.nets.vision_language import VisionLanguageConfig, VisionLanguageTrunk
from robot_policy.policies.module import Batch, PolicyModule
from robot_policy.policies.primitive_coding import PERIODS
from robot_policy.policies.primitive_targets import PrimitiveTable
from robot_policy.policies.primitives import PrimitiveSet

_SCALE, _BIAS = 10.0, -4.0
"""Temperature and bias at the start: with mostly negative pairs a bias of 0 begins with a loss that
only says that most sentences are wrong (Zhai et al. 2023)."""
_LARGEST_SCALE = 100.0


@dataclass(frozen=True)
class ClipRtConfig(VisionLanguageConfig):
    """Hyper-parameters of `ClipRt`."""

    history: int = 1
    """Observations the policy looks at, T."""
    horizon: int = PERIODS
    """Control periods that a decision lasts, H."""
    embedding: int = 128
    """Length of the vectors that are compared."""
    candidates: Literal["language", "classes"] = "language"
    """What primitives are told by: their sentences, or a learned vector each, which says what
    language is worth."""
    composed: bool = True
    """A decision has up to one primitive per axis; False takes the one axis that moves most."""
    logit_temperature: float = 1.0
    """By which logits are divided, so that probabilities are calibrated; `calibrate` finds it."""
    translation_m: tuple[float, ...] = ()
    """Amounts of the primitives [m]; from the robot description where none are given."""
    rotation_rad: tuple[float, ...] = ()
    """Amounts of the primitives [rad]; likewise."""
    response: tuple[float, ...] = ()
    """Parts of a commanded translation and rotation that the arm covers; likewise."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("history", "horizon", "embedding"):
            if getattr(self, name) < 1:
                raise ConfigError("too small", where=name, expected=">= 1", got=getattr(self, name))
        if self.logit_temperature <= 0:
            raise ConfigError(
                "must be positive", where="logit_temperature", got=self.logit_temperature
            )

    def for_robot(self, name: str) -> Self:
        """Returns it with what is left open taken from the description of a robot."""
        robot = load_robot(name)
        known = PrimitiveSet.for_robot(robot)
        covered = robot.command.response
        return replace(
            self,
            translation_m=self.translation_m or known.translation_m,
            rotation_rad=self.rotation_rad or known.rotation_rad,
            response=self.response or (covered.translation, covered.rotation),
        )

    def primitives(self) -> PrimitiveSet:
        """The primitives that it chooses from."""
        return PrimitiveSet(translation_m=self.translation_m, rotation_rad=self.rotation_rad)


class ClipRt(PolicyModule[ClipRtConfig]):
    """Scores s_p = e^tau c . a_p + b of all primitives p, and the loss of each being right or not.

    c = n(n(f(o, l)) + n(g(l))) is the context of image and instruction, a_p = n(h(p)) the embedded
    sentence, n(x) = x / |x|; both sides are normalised, in training as in use. The loss is the mean
    binary cross-entropy of sigma(s_p) against whether p is part of what was done (Zhai et al. 2023,
    https://arxiv.org/abs/2303.15343). Every primitive is one column, said in a way that is drawn
    anew in each step, so that what was done is never also its own negative. In use the sentences
    are embedded once.

    Candidate 0 is the likeliest choice of primitives, the others its likeliest changes.
    """

    config_type = ClipRtConfig
    presets: ClassVar[Mapping[str, ClipRtConfig]] = {
        "cpu": ClipRtConfig(vision_width=16),
        "gpu": ClipRtConfig(width=384, heads=6, layers=6, embedding=256),
    }
    sampling_options = frozenset({"logit_temperature"})
    action_normalization = "none"
    reads_instructions = True

    sentences: Tensor
    spoken: Tensor

    def __init__(self, config: ClipRtConfig, spec: PolicySpec) -> None:
        config = config.for_robot(spec.robot) if not _is_complete(config) else config
        super().__init__(config, spec)
        self._reader = config.reader()
        primitives = config.primitives()
        self.table = PrimitiveTable(
            primitives,
            horizon=config.horizon,
            response=config.response,
            low=spec.action.low,
            high=spec.action.high,
        )
        self.trunk = VisionLanguageTrunk(spec, config)
        self.see = nn.Linear(config.width, config.embedding)
        self.read = nn.Linear(config.text_features, config.embedding)
        self.act = nn.Sequential(
            nn.Linear(config.text_features, 2 * config.embedding),
            nn.GELU(),
            nn.Linear(2 * config.embedding, config.embedding),
        )
        if config.candidates == "classes":
            self.classes = nn.Parameter(torch.randn(len(primitives), config.text_features) / 16.0)
        else:
            self._keep_sentences(primitives)
        self.log_scale = nn.Parameter(torch.tensor(_SCALE).log())
        self.bias = nn.Parameter(torch.tensor(_BIAS))
        self._embedded: Tensor | None = None

    @classmethod
    def complete_spec(cls, config: ClipRtConfig, source: PolicySpec) -> PolicySpec:
        """Sets history and horizon.

        Raises:
            ConfigError: If actions are no displacements of the end effector.
        """
        if source.action_space is not ActionSpace.EE_DELTA_POSE or not source.action.low:
            raise ConfigError(
                "primitives need a robot that takes displacements of its end effector",
                where="action space",
                expected=f"{ActionSpace.EE_DELTA_POSE.value}, with limits",
                got=source.action_space.value,
            )
        return replace(
            source,
            history=config.history,
            horizon=config.horizon,
            past=0,
            needs_instruction=True,
        )

    @property
    def reader(self) -> SentenceAndWords:
        """What encodes its instructions."""
        return self._reader

    def train(self, mode: bool = True) -> Self:
        """Forgets the embedded sentences, which training changes."""
        self._embedded = None
        return super().train(mode)

    def loss(self, batch: Batch, *, draws: Draws) -> Tensor:
        """Returns the mean binary cross-entropy over rows and primitives, times their number."""
        is_pad = batch["action_is_pad"]
        targets = self.table.targets(batch[ACTION], is_pad, composed=self.config.composed)
        logits = self._logits(self.context(batch, draws=draws), self._said(draws))
        error = functional.binary_cross_entropy_with_logits(
            logits.float(), targets.float(), reduction="none"
        )
        return error.sum(1).mean()

    def logits(self, batch: Batch) -> Tensor:
        """Returns the calibrated logits of all primitives, (B, P)."""
        if self._embedded is None or self._embedded.device != self.bias.device or self.training:
            self._embedded = self.embedded()
        return self._logits(self.context(batch), self._embedded) / self.config.logit_temperature

    def probabilities(self, batch: Batch) -> Tensor:
        """Returns the probability of every primitive to be part of what is done next, (B, P)."""
        return self.logits(batch).sigmoid()

    def decode(self, batch: Batch, noise: Tensor) -> Tensor:
        """Returns the N likeliest choices as chunks, (B, N, H, A); there is nothing random."""
        logits = self.logits(batch)
        chunks = self.table.chunks(self.table.best(logits, noise.shape[1]))
        done = logits[:, self.table.done] > 0.0
        still = torch.cat([torch.zeros_like(chunks[..., :-1]), chunks[..., -1:]], dim=-1)
        return torch.where(done[:, None, None, None], still, chunks)

    def context(self, batch: Batch, *, draws: Draws | None = None) -> Tensor:
        """Returns c, (B, E) of length 1."""
        scene = self.trunk(batch, draws=draws)[:, 0]
        seen = functional.normalize(self.see(scene), dim=-1)
        asked = functional.normalize(self.read(batch[INSTRUCTION][:, 0].to(seen.dtype)), dim=-1)
        return functional.normalize(seen + asked, dim=-1)

    def embedded(self) -> Tensor:
        """Returns a_p of all primitives, each the mean over its sentences, (P, E) of length 1."""
        if self.config.candidates == "classes":
            return functional.normalize(self.act(self.classes), dim=-1)
        embedded = functional.normalize(self.act(self.sentences), dim=-1)
        there = torch.arange(self.sentences.shape[1], device=embedded.device) < self.spoken[:, None]
        mean = (embedded * there[..., None]).sum(1) / self.spoken[:, None]
        return functional.normalize(mean, dim=-1)

    def _said(self, draws: Draws) -> Tensor:
        """Returns (P, E): every primitive said in one of its ways."""
        if self.config.candidates == "classes":
            return self.embedded()
        chance = draws.shared(self.spoken.shape).to(self.sentences.device)
        way = (chance * self.spoken).long()
        said = self.sentences[torch.arange(len(way), device=way.device), way]
        return functional.normalize(self.act(said), dim=-1)

    def _logits(self, context: Tensor, embedded: Tensor) -> Tensor:
        scale = self.log_scale.exp().clamp(max=_LARGEST_SCALE)
        return scale * context @ embedded.T + self.bias

    def _keep_sentences(self, primitives: PrimitiveSet) -> None:
        encoder = make_text_encoder(self.config.text_encoder, features=self.config.text_features)
        most = max(len(p.sentences) for p in primitives)
        sentences = torch.zeros(len(primitives), most, self.config.text_features)
        for row, primitive in enumerate(primitives):
            encoded = torch.from_numpy(encoder.encode(primitive.sentences).copy())
            sentences[row, : len(encoded)] = encoded
        counts = torch.tensor([len(p.sentences) for p in primitives])
        self.register_buffer("sentences", sentences, persistent=False)
        self.register_buffer("spoken", counts, persistent=False)


def _is_complete(config: ClipRtConfig) -> bool:
    return bool(config.translation_m and config.rotation_rad and config.response)


def calibrate(logits: Tensor, targets: Tensor, *, steps: int = 200) -> float:
    """Returns the temperature that makes sigma(s / T) likeliest for what was done.

    Minimises the binary cross-entropy over log T by golden-section search (Guo et al. 2017,
    https://arxiv.org/abs/1706.04599).

    Args:
        logits: (B, P) of data that was not trained on.
        targets: (B, P) of 0 and 1.
        steps: Of the search.
    """

    def cost(log_temperature: float) -> float:
        scaled = logits.double() / torch.tensor(log_temperature).exp()
        return float(functional.binary_cross_entropy_with_logits(scaled, targets.double()))

    low, high = -4.0, 4.0
    ratio = (5**0.5 - 1) / 2
    for _ in range(steps):
        a, b = high - ratio * (high - low), low + ratio * (high - low)
        if cost(a) < cost(b):
            high = b
        else:
            low = a
        if high - low < 1e-4:
            break
    return float(torch.tensor((low + high) / 2).exp())


def calibration_error(probabilities: Tensor, targets: Tensor, *, bins: int = 10) -> float:
    """Expected calibration error: mean |p - share right| over bins of p, by their sizes."""
    p, right = probabilities.flatten(), targets.flatten()
    place = (p * bins).long().clamp(max=bins - 1)
    error = 0.0
    for index in range(bins):
        inside = place == index
        if inside.any():
            share = inside.float().mean()
            error += float(share * (p[inside].mean() - right[inside].mean()).abs())
    return error
