"""Diffusion policy (Chi et al. 2023): denoises an action chunk given the observation window."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np
import torch
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from diffusers.schedulers.scheduling_ddpm import DDPMScheduler
from torch import Tensor
from torch.nn import functional

from robot_policy.core.errors import ConfigError
from robot_policy.core.observation import ACTION
from robot_policy.core.specs import PolicySpec
from robot_policy.nets.observation_encoder import StateEncoder
from robot_policy.nets.unet1d import ConditionalUnet1d
from robot_policy.policies.module import Batch, PolicyModule, masked_mean, standard_normal


@dataclass(frozen=True)
class DiffusionConfig:
    """Hyper-parameters of `Diffusion`."""

    history: int = 2
    """Observations the policy looks at, T."""
    prediction_length: int = 16
    """Actions denoised together: T - 1 before now, the others (H) from now on."""
    channels: tuple[int, ...] = (64, 128)
    """Channels per level of the U-Net."""
    kernel: int = 5
    """Kernel size of its convolutions."""
    groups: int = 8
    """Groups of its group normalisation."""
    step_embedding: int = 64
    """Length of the embedding of the diffusion step."""
    train_steps: int = 100
    """Steps K of the noising process."""
    sample_steps: int = 10
    """DDIM steps when drawing."""
    prediction: Literal["epsilon", "sample"] = "epsilon"
    """What the network predicts: the noise or the clean chunk."""
    mask_padding: bool = False
    """Leave steps beyond the ends of an episode out of the loss; the published recipe does not."""


class Diffusion(PolicyModule[DiffusionConfig]):
    """DDPM in training, DDIM with eta = 0 when drawing.

    With k ~ U{0..K-1} and eps ~ N(0, I) the noised chunk is
    A_k = sqrt(abar_k) A_0 + sqrt(1 - abar_k) eps, squared-cosine schedule, and the loss is
    E |eps - eps_theta(A_k, k, O)|^2 over the whole predicted window, which begins at t - T + 1.
    """

    config_type = DiffusionConfig
    presets: ClassVar[Mapping[str, DiffusionConfig]] = {
        "cpu": DiffusionConfig(),
        "gpu": DiffusionConfig(channels=(256, 512, 1024), step_embedding=256),
    }

    def __init__(self, config: DiffusionConfig, spec: PolicySpec) -> None:
        super().__init__(config, spec)
        self.encoder = StateEncoder(spec)
        self.unet = ConditionalUnet1d(
            spec.action.size,
            self.encoder.out_features,
            channels=config.channels,
            kernel=config.kernel,
            groups=config.groups,
            step_embedding=config.step_embedding,
        )
        self._noising = DDPMScheduler(config.train_steps, beta_schedule="squaredcos_cap_v2")
        self._denoising = DDIMScheduler(
            config.train_steps,
            beta_schedule="squaredcos_cap_v2",
            prediction_type=config.prediction,
            clip_sample=True,
        )
        self._denoising.set_timesteps(config.sample_steps)

    @classmethod
    def complete_spec(cls, config: DiffusionConfig, source: PolicySpec) -> PolicySpec:
        """Splits the predicted window into past and horizon."""
        multiple = 2 ** (len(config.channels) - 1)
        if config.prediction_length % multiple or config.prediction_length < config.history:
            raise ConfigError(
                f"prediction_length does not suit history {config.history} and "
                f"{len(config.channels)} channels",
                where="prediction_length",
                expected=f"a multiple of {multiple}, at least the history",
                got=config.prediction_length,
            )
        if not 1 <= config.sample_steps <= config.train_steps:
            raise ConfigError(
                "more denoising steps than train_steps",
                where="sample_steps",
                expected=f"1 .. {config.train_steps}",
                got=config.sample_steps,
            )
        past = config.history - 1
        horizon = config.prediction_length - past
        return replace(source, history=config.history, horizon=horizon, past=past)

    def loss(self, batch: Batch, *, generator: torch.Generator) -> Tensor:
        """Returns the denoising loss of (B, P + H, A) chunks."""
        clean = batch[ACTION]
        options = {"generator": generator, "device": clean.device}
        noise = torch.randn(clean.shape, **options)
        step = torch.randint(self.config.train_steps, clean.shape[:1], **options)
        noised = self._noising.add_noise(clean, noise, step)  # pyright: ignore[reportArgumentType]
        predicted = self.unet(noised, step, self.encoder(batch))
        target = noise if self.config.prediction == "epsilon" else clean
        error = functional.mse_loss(predicted.float(), target, reduction="none")
        return masked_mean(error, batch["action_is_pad"] if self.config.mask_padding else None)

    def sample(
        self, batch: Batch, *, num_samples: int, generators: Sequence[np.random.Generator]
    ) -> Tensor:
        """Denoises N chunks per row, (B, N, P + H, A); the observation is encoded once."""
        condition = self.encoder(batch)
        shape = (num_samples, self.config.prediction_length, self.spec.action.size)
        actions = standard_normal(shape, generators, condition.device).flatten(0, 1)
        condition = condition.repeat_interleave(num_samples, dim=0)
        for step in self._denoising.timesteps:
            steps = step.expand(len(actions)).to(condition.device)
            predicted = self.unet(actions, steps, condition)
            actions = self._denoising.step(predicted, int(step), actions).prev_sample  # pyright: ignore
        return actions.unflatten(0, (-1, num_samples))
