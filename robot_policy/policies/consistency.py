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
        for name in _NOT_HERE:
            if getattr(self, name):
                raise ConfigError("a consistency policy has none", where=name, expected=0)


class Consistency(DenoisingPolicy[ConsistencyConfig]):
    """Consistency distillation (Song et al. 2023) along the DDIM path of a teacher.

    f(x, k) answers the clean chunk. For neighbouring levels k > k' of the path, x_k a noised
    chunk and x_k' what one DDIM step of the teacher makes of it, the loss is
    E d(f(x_k, k), sg f(x_k', k')) with f(x, clean) = x and the pseudo-Huber distance d. Without a
    teacher x_k' is the same chunk with the same noise at level k' (consistency training, Song and
    Dhariwal 2024).
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
        clean = batch[ACTION]
        noise = draws.normal(clean.shape)
        level = draws.integers(self.config.path_steps, clean.shape[:1])
        abar, after = (self._abar[n][:, None, None] for n in (level, level + 1))
        x = noised_to(abar, clean, noise)
        condition = self.encode(batch, draws=draws)
        answer = self._answer(x, level, condition)
        with torch.no_grad():
            if self._teacher:
                nearer = self._teacher_step(x, level, batch, abar, after)
            else:
                nearer = noised_to(after, clean, noise)
            at_end = (level + 1 == self.config.path_steps)[:, None, None]
            next_level = (level + 1).clamp(max=self.config.path_steps - 1)
            target = torch.where(at_end, nearer, self._answer(nearer, next_level, condition))
        return pseudo_huber(answer, target)

    def _answer(self, x: Tensor, level: Tensor, condition: Tensor) -> Tensor:
        prediction = self.backbone(x, self._times[level], condition)
        abar = self._abar[level][:, None, None]
        return clean_chunk(prediction.float(), x, abar, self.config.prediction)

    def _teacher_step(
        self, x: Tensor, level: Tensor, batch: Batch, abar: Tensor, after: Tensor
    ) -> Tensor:
        teacher = self._teacher[0]
        prediction = teacher.backbone(x, self._times[level], teacher.encode(batch)).float()
        return ddim_step(prediction, x, abar, after, teacher.config.prediction)


def pseudo_huber(a: Tensor, b: Tensor) -> Tensor:
    """Mean over rows of sqrt(|a - b|^2 + c^2) - c, c = 0.00054 sqrt(D) (Song and Dhariwal 2024).

    It weighs rare large differences less than squares do, and those are what a network that
    answers from pure noise begins with. D is the number of entries of a row.
    """
    difference = (a - b).flatten(1)
    c = 0.00054 * difference.shape[1] ** 0.5
    return ((difference.square().sum(1) + c**2).sqrt() - c).mean()
