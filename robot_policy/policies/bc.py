"""Behaviour cloning: a network regresses the action chunk from the observation window."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from torch import Tensor, nn
from torch.nn import functional

from robot_policy.core.observation import ACTION
from robot_policy.core.specs import PolicySpec
from robot_policy.nets.draws import Draws
from robot_policy.nets.mlp import mlp
from robot_policy.nets.observation_encoder import ObservationEncoder
from robot_policy.nets.regression_transformer import RegressionTransformer
from robot_policy.nets.vision import VisionConfig
from robot_policy.nets.weight_decay import norms_biases_and_embeddings
from robot_policy.policies.module import Batch, PolicyModule, masked_mean, scaled


@dataclass(frozen=True)
class BcConfig(VisionConfig):
    """Hyper-parameters of `Bc`."""

    history: int = 2
    """Observations the policy looks at, T."""
    horizon: int = 16
    """Actions it predicts, H."""
    network: Literal["mlp", "transformer"] = "mlp"
    """An MLP over the whole window, or a transformer decoder over the actions."""
    hidden: tuple[int, ...] = (512, 512)
    """MLP: width of each hidden layer."""
    layers: int = 4
    """Transformer: decoder layers."""
    heads: int = 4
    """Transformer: attention heads."""
    width: int = 128
    """Transformer: length of a token."""
    dropout: float = 0.1
    """Transformer: dropout, in attention too."""
    loss: Literal["l1", "l2"] = "l1"
    """Regression loss; l1 is less drawn towards the mean of several ways to do it."""
    mask_padding: bool = True
    """Leave steps beyond the end of an episode out of the loss."""


class Bc(PolicyModule[BcConfig]):
    """a_{t..t+H-1} = f(o_{t-T+1..t}), minimising |f - a| or (f - a)^2. Deterministic."""

    config_type = BcConfig
    presets: ClassVar[Mapping[str, BcConfig]] = {
        "cpu": BcConfig(vision_width=16),
        "gpu": BcConfig(hidden=(1024, 1024, 1024)),
    }

    def __init__(self, config: BcConfig, spec: PolicySpec) -> None:
        super().__init__(config, spec)
        self.encoder = ObservationEncoder(spec, config)
        self.net: nn.Module
        if config.network == "mlp":
            size = spec.horizon * spec.action.size
            self.net = mlp(self.encoder.out_features, config.hidden, size)
        else:
            self.net = RegressionTransformer(
                spec.action.size,
                self.encoder.step_features,
                length=spec.horizon,
                history=spec.history,
                layers=config.layers,
                heads=config.heads,
                width=config.width,
                dropout=config.dropout,
            )

    @classmethod
    def complete_spec(cls, config: BcConfig, source: PolicySpec) -> PolicySpec:
        """Sets history and horizon."""
        return replace(source, history=config.history, horizon=config.horizon, past=0)

    def forward(self, batch: Batch, *, draws: Draws | None = None) -> Tensor:
        """Returns the chunk (B, H, A); `draws` in training, for the crops of the images."""
        features = self.encoder(batch, draws=draws)
        if self.config.network == "transformer":
            return self.net(features, draws=draws)
        return self.net(features.flatten(1)).unflatten(-1, (-1, self.spec.action.size))

    def no_weight_decay(self) -> frozenset[str]:
        """Of the transformer only its matrices decay."""
        if self.config.network == "transformer":
            return norms_biases_and_embeddings(self)
        return frozenset()

    def loss(self, batch: Batch, *, draws: Draws) -> Tensor:
        """Returns the regression loss; draws only the crops of the images."""
        compare = functional.l1_loss if self.config.loss == "l1" else functional.mse_loss
        predicted, target = scaled(batch, self(batch, draws=draws), batch[ACTION])
        error = compare(predicted, target, reduction="none")
        return masked_mean(error, batch["action_is_pad"] if self.config.mask_padding else None)

    def decode(self, batch: Batch, noise: Tensor) -> Tensor:
        """Returns the one prediction N times, (B, N, H, A)."""
        return self(batch)[:, None].expand(-1, noise.shape[1], -1, -1)
