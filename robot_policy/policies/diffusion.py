"""Diffusion policy (Chi et al. 2023): denoises an action chunk given the observation window."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from robot_policy.core.errors import ConfigError
from robot_policy.core.observation import ACTION
from robot_policy.core.specs import PolicySpec
from robot_policy.nets.draws import Draws
from robot_policy.policies.denoising.config import SAMPLING_OPTIONS, DenoisingConfig
from robot_policy.policies.denoising.diffusion_process import (
    DiffusionProcess,
    Prediction,
    Sampler,
    noised_to,
    squared_cosine,
    target_of,
)
from robot_policy.policies.denoising.policy import DenoisingPolicy
from robot_policy.policies.module import Batch


@dataclass(frozen=True)
class DiffusionConfig(DenoisingConfig):
    """Hyper-parameters of `Diffusion`."""

    train_steps: int = 100
    """Steps K of the noising process."""
    sample_steps: int = 10
    """Denoising steps when drawing."""
    sampler: Sampler = "ddim"
    """How to draw: ddim (deterministic), ddpm (ancestral; takes as many steps as were trained to
    be as published), dpm_solver (DPM-Solver++ of second order)."""
    prediction: Prediction = "v"
    """What the network predicts: v, which lies between noise and clean chunk and solves more of
    `square` from the same windows (docs/policies.md), the noise (epsilon, as published), or the
    clean chunk (sample)."""
    extra_steps: int = 0
    """Repetitions of the last denoising step (Diffusion-X)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_sample_steps(self.sample_steps)
        if self.sample_steps > self.train_steps:
            raise ConfigError(
                "more sample_steps than train_steps",
                where="sample_steps and train_steps",
                expected=f"sample_steps 1 .. {self.train_steps}",
                got=self.sample_steps,
            )
        if self.extra_steps < 0:
            raise ConfigError("too small", where="extra_steps", expected=">= 0")


class Diffusion(DenoisingPolicy[DiffusionConfig]):
    """Denoising of action chunks.

    With k ~ U{0..K-1} and eps ~ N(0, I) the noised chunk is
    A_k = sqrt(abar_k) A_0 + sqrt(1 - abar_k) eps, squared-cosine schedule, and the loss is
    E |v - v_theta(A_k, k, O)|^2 with v = sqrt(abar_k) eps - sqrt(1 - abar_k) A_0 (Salimans and Ho
    2022, https://arxiv.org/abs/2202.00512) over the whole predicted window, or the same for eps or
    the clean chunk.
    """

    config_type = DiffusionConfig
    presets: ClassVar[Mapping[str, DiffusionConfig]] = {
        "cpu": DiffusionConfig(vision_width=16),
        "gpu": DiffusionConfig(channels=(256, 512, 1024), step_embedding=256, layers=8, width=256),
    }
    sampling_options = SAMPLING_OPTIONS | {"sampler", "sample_steps", "extra_steps"}

    _abar: Tensor

    def __init__(self, config: DiffusionConfig, spec: PolicySpec) -> None:
        super().__init__(config, spec)
        self.register_buffer("_abar", squared_cosine(config.train_steps), persistent=False)

    def make_process(self) -> DiffusionProcess:
        """Returns the sampler of the config."""
        return DiffusionProcess(
            train_steps=self.config.train_steps,
            steps=self.config.sample_steps,
            sampler=self.config.sampler,
            prediction=self.config.prediction,
        )

    @property
    def extra_steps(self) -> int:
        """Repetitions of the last denoising step."""
        return self.config.extra_steps

    def loss(self, batch: Batch, *, draws: Draws) -> Tensor:
        """Returns the denoising loss of (B, P + H, A) chunks."""
        clean = batch[ACTION]
        noise = draws.normal(clean.shape)
        step = draws.integers(self.config.train_steps, clean.shape[:1])
        abar = self._abar[step][:, None, None]
        noised = noised_to(abar, clean, noise)
        decided = self.decided_beginning(clean, draws)
        predicted = self.predict(noised, clean, step, batch, decided, draws=draws)
        target = target_of(clean, noise, abar, self.config.prediction)
        return self.regression(predicted, target, batch, decided)
