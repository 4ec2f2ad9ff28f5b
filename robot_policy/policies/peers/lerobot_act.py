"""lerobot's ACT (Zhao et al. 2023): a transformer predicts the chunk, trained as a CVAE."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from torch import Tensor

from robot_policy.core.errors import ConfigError
from robot_policy.core.observation import ACTION
from robot_policy.core.specs import PolicySpec
from robot_policy.nets.draws import Draws
from robot_policy.policies.module import Batch, PolicyModule
from robot_policy.policies.peers.lerobot_policy import build_lerobot, lerobot_observation
from robot_policy.policies.peers.randomness import drawn_from


@dataclass(frozen=True)
class LerobotActConfig:
    """Settings of lerobot's ``ACTConfig``, under its names and with its defaults."""

    chunk_size: int = 100
    """Actions it predicts, H."""
    pre_norm: bool = False
    """Normalise before each block instead of after."""
    dim_model: int = 512
    """Width of the transformer."""
    n_heads: int = 8
    """Attention heads."""
    dim_feedforward: int = 3200
    """Width of its feed-forward layers."""
    feedforward_activation: str = "relu"
    """Their activation."""
    n_encoder_layers: int = 4
    """Layers of the encoder."""
    n_decoder_layers: int = 1
    """Layers of the decoder; the original code uses one by mistake, and lerobot keeps to it."""
    use_vae: bool = True
    """Train as a conditional variational auto-encoder; the latent is 0 when drawing."""
    latent_dim: int = 32
    """Size of the latent."""
    n_vae_encoder_layers: int = 4
    """Layers of the variational encoder."""
    dropout: float = 0.1
    """Dropout."""
    kl_weight: float = 10.0
    """Weight of the KL divergence in the loss."""


class LerobotAct(PolicyModule[LerobotActConfig]):
    """``lerobot.policies.act.ACTPolicy`` as a policy of this library. Deterministic.

    L1 over the steps that are not padding, plus ``kl_weight`` times the KL divergence of the
    latent from N(0, I), as lerobot computes it.
    """

    library = "lerobot"
    sees_cameras = False
    config_type = LerobotActConfig
    presets: ClassVar[Mapping[str, LerobotActConfig]] = {
        "cpu": LerobotActConfig(
            chunk_size=16,
            dim_model=128,
            n_heads=4,
            dim_feedforward=512,
            n_encoder_layers=2,
            n_vae_encoder_layers=2,
        ),
        "gpu": LerobotActConfig(),
    }
    state_normalization = "mean_std"
    action_normalization = "mean_std"
    optimizer_defaults: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "cpu": {"lr": 1e-4, "weight_decay": 1e-4, "betas": (0.9, 0.999)},
        "gpu": {"lr": 1e-5, "weight_decay": 1e-4, "betas": (0.9, 0.999)},
    }

    def __init__(self, config: LerobotActConfig, spec: PolicySpec) -> None:
        super().__init__(config, spec)

        def make(common: dict[str, Any]) -> Any:
            from lerobot.policies.act.configuration_act import ACTConfig
            from lerobot.policies.act.modeling_act import ACTPolicy

            settings = dataclasses.asdict(config) | {"n_action_steps": config.chunk_size}
            return ACTPolicy(ACTConfig(**settings, **common))

        self.policy = build_lerobot(spec, make)

    @classmethod
    def complete_spec(cls, config: LerobotActConfig, source: PolicySpec) -> PolicySpec:
        """Sets the horizon; ACT looks at the newest observation only."""
        if config.dim_model % config.n_heads or config.dim_model % 2:
            raise ConfigError(
                "does not divide into heads",
                where="dim_model",
                expected=f"an even multiple of n_heads {config.n_heads}",
                got=config.dim_model,
            )
        return replace(source, history=1, horizon=config.chunk_size, past=0)

    def loss(self, batch: Batch, *, draws: Draws) -> Tensor:
        """Returns lerobot's loss of (B, H, A) chunks."""
        actions = batch[ACTION]
        theirs = _newest(batch) | {ACTION: actions, "action_is_pad": batch["action_is_pad"]}
        with drawn_from(draws, rows=len(actions), device=actions.device):
            return self.policy(theirs)[0]

    def decode(self, batch: Batch, noise: Tensor) -> Tensor:
        """Returns the one prediction N times, (B, N, H, A)."""
        chunk = self.policy.model(_newest(batch))[0]
        return chunk[:, None].expand(-1, noise.shape[1], -1, -1)


def _newest(batch: Batch) -> dict[str, Tensor]:
    return {key: value[:, -1] for key, value in lerobot_observation(batch).items()}
