"""lerobot's diffusion policy: its network, its loss and its sampling."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

from torch import Tensor

from robot_policy.core.errors import ConfigError
from robot_policy.core.observation import ACTION
from robot_policy.core.specs import PolicySpec
from robot_policy.nets.draws import Draws
from robot_policy.policies.module import Batch, PolicyModule
from robot_policy.policies.peers.lerobot_policy import build_lerobot, lerobot_observation
from robot_policy.policies.peers.randomness import drawn_from, given_noise


@dataclass(frozen=True)
class LerobotDiffusionConfig:
    """Settings of lerobot's ``DiffusionConfig``, under its names and with its defaults."""

    n_obs_steps: int = 2
    """Observations the policy looks at, T."""
    horizon: int = 16
    """Actions denoised together: T - 1 before now, the others (our H) from now on."""
    down_dims: tuple[int, ...] = (512, 1024, 2048)
    """Channels per level of the U-Net; it halves the sequence at each."""
    kernel_size: int = 5
    """Kernel size of its convolutions."""
    n_groups: int = 8
    """Groups of its group normalisation."""
    diffusion_step_embed_dim: int = 128
    """Length of the embedding of the diffusion step."""
    use_film_scale_modulation: bool = True
    """Condition by scale and bias instead of bias alone."""
    noise_scheduler_type: Literal["DDPM", "DDIM"] = "DDPM"
    """How it draws."""
    num_train_timesteps: int = 100
    """Steps of the noising process."""
    beta_schedule: str = "squaredcos_cap_v2"
    """Noise schedule, a name of diffusers."""
    beta_start: float = 0.0001
    """First noise variance; unused by the default schedule."""
    beta_end: float = 0.02
    """Last noise variance; unused by the default schedule."""
    prediction_type: Literal["epsilon", "sample"] = "epsilon"
    """What the network predicts."""
    clip_sample: bool = True
    """Clip the estimate of the clean chunk at every denoising step."""
    clip_sample_range: float = 1.0
    """Where to."""
    num_inference_steps: int = 100
    """Denoising steps when drawing."""
    do_mask_loss_for_padding: bool = False
    """Leave steps beyond the ends of an episode out of the loss."""


class LerobotDiffusion(PolicyModule[LerobotDiffusionConfig]):
    """``lerobot.policies.diffusion.DiffusionPolicy`` as a policy of this library.

    Loss and sampling are lerobot's own code. All it draws comes from the `draws` of a training
    step, or from the noise of a candidate: the chunk it starts from and, for DDPM, the noise of
    every further step.
    """

    library = "lerobot"
    sees_cameras = False
    config_type = LerobotDiffusionConfig
    presets: ClassVar[Mapping[str, LerobotDiffusionConfig]] = {
        "cpu": LerobotDiffusionConfig(
            down_dims=(64, 128),
            diffusion_step_embed_dim=64,
            noise_scheduler_type="DDIM",
            num_inference_steps=10,
        ),
        "gpu": LerobotDiffusionConfig(),
    }
    sampling_options = frozenset({"noise_scheduler_type", "num_inference_steps"})

    def __init__(self, config: LerobotDiffusionConfig, spec: PolicySpec) -> None:
        super().__init__(config, spec)

        def make(common: dict[str, Any]) -> Any:
            from lerobot.policies.diffusion.configuration_diffusion import DiffusionConfig
            from lerobot.policies.diffusion.modeling_diffusion import DiffusionPolicy

            # n_action_steps is how many of them lerobot would execute: an agent's affair here.
            actions = config.horizon - config.n_obs_steps + 1
            settings = dataclasses.asdict(config) | {"n_action_steps": actions}
            return DiffusionPolicy(DiffusionConfig(**settings, **common))

        self.policy = build_lerobot(spec, make)

    @classmethod
    def complete_spec(cls, config: LerobotDiffusionConfig, source: PolicySpec) -> PolicySpec:
        """Splits the predicted window into past and horizon."""
        multiple = 2 ** len(config.down_dims)
        if config.horizon % multiple or not 1 <= config.n_obs_steps <= config.horizon:
            raise ConfigError(
                f"horizon does not suit n_obs_steps {config.n_obs_steps} and "
                f"{len(config.down_dims)} down_dims",
                where="horizon",
                expected=f"a multiple of {multiple}, at least n_obs_steps",
                got=config.horizon,
            )
        if not 1 <= config.num_inference_steps <= config.num_train_timesteps:
            raise ConfigError(
                "out of range",
                where="num_inference_steps",
                expected=f"1 .. {config.num_train_timesteps}",
                got=config.num_inference_steps,
            )
        past = config.n_obs_steps - 1
        horizon = config.horizon - past
        return replace(source, history=config.n_obs_steps, horizon=horizon, past=past)

    def loss(self, batch: Batch, *, draws: Draws) -> Tensor:
        """Returns lerobot's denoising loss of (B, P + H, A) chunks."""
        actions = batch[ACTION]
        theirs = lerobot_observation(batch) | {
            ACTION: actions,
            "action_is_pad": batch["action_is_pad"],
        }
        with drawn_from(draws, rows=len(actions), device=actions.device):
            return self.policy.diffusion.compute_loss(theirs)

    @property
    def noise_shape(self) -> tuple[int, ...]:
        """What one candidate draws, (K, P + H, A): the first chunk, and for DDPM K - 1 more."""
        config = self.config
        steps = config.num_inference_steps if config.noise_scheduler_type == "DDPM" else 1
        return steps, config.horizon, self.spec.action.size

    def decode(self, batch: Batch, noise: Tensor) -> Tensor:
        """Denoises N chunks per row, (B, N, P + H, A), by lerobot's ``conditional_sample``."""
        model = self.policy.diffusion
        num_samples = noise.shape[1]
        condition = model._prepare_global_conditioning(lerobot_observation(batch))
        condition = condition.repeat_interleave(num_samples, dim=0)
        first, *others = noise.flatten(0, 1).unbind(1)
        with given_noise(iter(others)):
            chunks = model.conditional_sample(len(first), global_cond=condition, noise=first)
        return chunks.unflatten(0, (-1, num_samples))
