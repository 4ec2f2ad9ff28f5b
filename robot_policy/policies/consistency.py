"""One-step policy: learns where the path of a diffusion policy ends, from any place on it."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

import torch
from torch import Tensor

from robot_policy.core.errors import ConfigError
from robot_policy.core.observation import ACTION
from robot_policy.core.specs import PolicySpec
from robot_policy.nets.draws import Draws
from robot_policy.policies.denoising.config import SAMPLING_OPTIONS, DenoisingConfig
from robot_policy.policies.denoising.consistency_process import ConsistencyProcess
from robot_policy.policies.denoising.diffusion_process import (
    Prediction,
    clean_chunk,
    ddim_step,
    ddim_times,
    noised_to,
    squared_cosine,
)
from robot_policy.policies.denoising.policy import DenoisingPolicy
from robot_policy.policies.diffusion import Diffusion
from robot_policy.policies.module import Batch, PolicyModule

_NOT_HERE = ("condition_dropout", "guidance", "shared_steps", "mask_padding", "prefix_training")
"""Hyper-parameters of other denoising policies that this one does not heed."""
_FROM_NOISE = 0.5
"""Part of a batch that begins at the noisiest level, from where a single call has to do."""


@dataclass(frozen=True)
class ConsistencyConfig(DenoisingConfig):
    """Hyper-parameters of `Consistency`."""

    teacher: str = ""
    """Checkpoint of a diffusion policy to distil, which gives window, network and initial
    weights; without one the policy learns from the data alone."""
    train_steps: int = 100
    """Steps K of the noising process."""
    path_steps: int = 10
    """Levels of the path, visited in DDIM steps."""
    teacher_steps: int = 10
    """DDIM steps of the teacher before the student's own answer is its target. 1 is consistency
    distillation as published; `path_steps` follows the path to its end, so that no target moves
    while the student learns, at about twice the time per step."""
    prediction: Prediction = "v"
    """What the network predicts. With v the clean chunk is sqrt(abar) x - sqrt(1 - abar) v: what is
    nearly clean passes, and errors are not blown up where there is only noise, as with epsilon."""
    sample_steps: int = 1
    """Calls of the network when drawing."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_sample_steps(self.sample_steps)
        for name, most in (("path_steps", self.train_steps), ("sample_steps", self.path_steps)):
            if getattr(self, name) > most:
                raise ConfigError("too large", where=name, expected=f"1 .. {most}")
        if self.teacher_steps < 1:
            raise ConfigError("too small", where="teacher_steps", expected=">= 1")
        for name in _NOT_HERE:
            if getattr(self, name):
                raise ConfigError("a consistency policy has none", where=name, expected=0)


class Consistency(DenoisingPolicy[ConsistencyConfig]):
    """Consistency distillation (Song et al. 2023) along the DDIM path of a teacher.

    f(x, k) answers the clean chunk. For levels k > k' of the path, x_k a noised chunk and x_k'
    what `teacher_steps` DDIM steps of the teacher make of it, the loss is
    E d(f(x_k, k), sg f(x_k', k')) with f(x, clean) = x and the pseudo-Huber distance d. Half of the
    chunks begin where drawing does, as noise of a strength between 0 and 1, so that a student can
    be drawn from at any temperature.

    Without a teacher x_k' is the same chunk with the same noise at the next level (consistency
    training, Song and Dhariwal 2024).
    """

    config_type = ConsistencyConfig
    presets: ClassVar[Mapping[str, ConsistencyConfig]] = {
        "cpu": ConsistencyConfig(vision_width=16),
        "gpu": ConsistencyConfig(
            channels=(256, 512, 1024), step_embedding=256, layers=8, width=256
        ),
    }
    sampling_options = SAMPLING_OPTIONS - {"guidance", "shared_steps"} | {"sample_steps"}

    _times: Tensor
    _abar: Tensor

    def __init__(self, config: ConsistencyConfig, spec: PolicySpec) -> None:
        super().__init__(config, spec)
        # In a list, so that it is no part of this module's state.
        self._teacher: list[Diffusion] = []
        times = ddim_times(config.train_steps, config.path_steps)
        abar = squared_cosine(config.train_steps)[times]
        self.register_buffer("_times", torch.tensor(times), persistent=False)
        self.register_buffer("_abar", torch.cat([abar, torch.ones(1)]), persistent=False)

    @classmethod
    def joins_prefix(cls) -> bool:
        """One step leaves no place to make the rest of a chunk fit."""
        return False

    @classmethod
    def config_for(cls, config: ConsistencyConfig, teacher: PolicyModule) -> ConsistencyConfig:
        """Returns the config with window and network of the teacher.

        Raises:
            ConfigError: If the teacher is no diffusion policy.
        """
        if not isinstance(teacher, Diffusion):
            raise ConfigError(
                "only a diffusion policy can be distilled",
                where=f"teacher {config.teacher}",
                got=type(teacher).__name__,
            )
        if teacher.config.prefix_training:
            raise ConfigError(
                "a consistency policy cannot continue actions under way as its teacher does",
                where=f"teacher {config.teacher}, prefix_training",
                expected=0,
                got=teacher.config.prefix_training,
            )
        own = {
            *_NOT_HERE,
            *("sample_steps", "prediction", "temperature", "density_samples", "density_bandwidth"),
        }
        taken = {
            field.name: getattr(teacher.config, field.name)
            for field in dataclasses.fields(config)
            if hasattr(teacher.config, field.name) and field.name not in own
        }
        return dataclasses.replace(config, **taken)

    def learn_from(self, teacher: PolicyModule) -> Self:
        """Begins with the teacher's weights and follows its path from now on."""
        assert isinstance(teacher, Diffusion)
        self.encoder.load_state_dict(teacher.encoder.state_dict())
        self.backbone.load_state_dict(teacher.backbone.state_dict())
        self._teacher = [teacher.eval().requires_grad_(False)]
        return self

    def make_process(self) -> ConsistencyProcess:
        """Returns the levels of the config, spread over the path."""
        config = self.config
        path = ddim_times(config.train_steps, config.path_steps)
        chosen = [
            path[i * config.path_steps // config.sample_steps] for i in range(config.sample_steps)
        ]
        abar = squared_cosine(config.train_steps)
        return ConsistencyProcess(chosen, [float(abar[k]) for k in chosen], config.prediction)

    def loss(self, batch: Batch, *, draws: Draws) -> Tensor:
        """Returns the consistency loss of (B, P + H, A) chunks."""
        level, x, nearer, reached = self._pair(batch, draws=draws)
        condition = self.encode(batch, draws=draws)
        answer = self._answer(x, level, condition)
        if self._teacher and self.config.teacher_steps >= self.config.path_steps:
            return pseudo_huber(answer, nearer)
        with torch.no_grad():
            at_end = (reached == self.config.path_steps)[:, None, None]
            reached = reached.clamp(max=self.config.path_steps - 1)
            target = torch.where(at_end, nearer, self._answer(nearer, reached, condition))
        return pseudo_huber(answer, target)

    @torch.no_grad()
    def _pair(self, batch: Batch, *, draws: Draws) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Returns levels (B,), chunks at them, chunks nearer to the clean ones, their levels."""
        clean = batch[ACTION]
        noise = draws.normal(clean.shape)
        rows = clean.shape[:1]
        level = draws.integers(self.config.path_steps, rows)
        if not self._teacher:
            x, nearer = (
                noised_to(self._abar[n][:, None, None], clean, noise) for n in (level, level + 1)
            )
            return level, x, nearer, level + 1
        level = torch.where(draws.uniform(rows) < _FROM_NOISE, 0, level)
        x = noised_to(self._abar[level][:, None, None], clean, noise)
        strength = (1.5 * draws.uniform(rows) - 0.25).clamp(0.0, 1.0)  # both ends a sixth each
        x = torch.where((level == 0)[:, None, None], strength[:, None, None] * noise, x)
        return level, x, *self._along_path(x, level, batch)

    def _answer(self, x: Tensor, level: Tensor, condition: Tensor) -> Tensor:
        prediction = self.backbone(x, self._times[level], condition)
        abar = self._abar[level][:, None, None]
        return clean_chunk(prediction.float(), x, abar, self.config.prediction)

    def _along_path(self, x: Tensor, level: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """Follows the teacher from (B,) levels on; returns the chunks and their levels then."""
        teacher, x = self._teacher[0], x.clone()
        condition = teacher.encode(batch)
        last = (level + self.config.teacher_steps).clamp(max=self.config.path_steps)
        for n in range(self.config.path_steps):
            rows = ((level <= n) & (n < last)).nonzero()[:, 0]
            if len(rows):
                times = self._times[n].expand(len(rows))
                prediction = teacher.backbone(x[rows], times, condition[rows]).float()
                kind = teacher.config.prediction
                x[rows] = ddim_step(prediction, x[rows], self._abar[n], self._abar[n + 1], kind)
        return x, last


def pseudo_huber(a: Tensor, b: Tensor) -> Tensor:
    """Mean over rows of sqrt(|a - b|^2 + c^2) - c, c = 0.00054 sqrt(D) (Song and Dhariwal 2024).

    It weighs rare large differences less than squares do, and those are what a network that
    answers from pure noise begins with. D is the number of entries of a row.
    """
    difference = (a - b).flatten(1)
    c = 0.00054 * difference.shape[1] ** 0.5
    return ((difference.square().sum(1) + c**2).sqrt() - c).mean()
