"""Behaviour cloning: an MLP regresses the action chunk from the observation window."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from robot_policy.core.observation import ACTION
from robot_policy.core.specs import PolicySpec
from robot_policy.nets.mlp import mlp
from robot_policy.nets.observation_encoder import StateEncoder
from robot_policy.policies.module import Batch, PolicyModule, masked_mean


@dataclass(frozen=True)
class BcConfig:
    """Hyper-parameters of `Bc`."""

    history: int = 2
    """Observations the policy looks at, T."""
    horizon: int = 16
    """Actions it predicts, H."""
    hidden: tuple[int, ...] = (512, 512)
    """Width of each hidden layer."""
    loss: Literal["l1", "l2"] = "l1"
    """Regression loss; l1 is less drawn towards the mean of several ways to do it."""
    mask_padding: bool = True
    """Leave steps beyond the end of an episode out of the loss."""


class Bc(PolicyModule[BcConfig]):
    """a_{t..t+H-1} = f(o_{t-T+1..t}), minimising |f - a| or (f - a)^2. Deterministic."""

    config_type = BcConfig
    presets: ClassVar[Mapping[str, BcConfig]] = {
        "cpu": BcConfig(),
        "gpu": BcConfig(hidden=(1024, 1024, 1024)),
    }

    def __init__(self, config: BcConfig, spec: PolicySpec) -> None:
        super().__init__(config, spec)
        self.encoder = StateEncoder(spec)
        size = spec.horizon * spec.action.size
        self.net = mlp(self.encoder.out_features, config.hidden, size)

    @classmethod
    def complete_spec(cls, config: BcConfig, source: PolicySpec) -> PolicySpec:
        """Sets history and horizon."""
        return replace(source, history=config.history, horizon=config.horizon, past=0)

    def forward(self, batch: Batch) -> Tensor:
        """Returns the chunk (B, H, A)."""
        return self.net(self.encoder(batch)).unflatten(-1, (-1, self.spec.action.size))

    def loss(self, batch: Batch, *, generator: torch.Generator) -> Tensor:
        """Returns the regression loss; draws nothing."""
        del generator
        compare = functional.l1_loss if self.config.loss == "l1" else functional.mse_loss
        error = compare(self(batch), batch[ACTION], reduction="none")
        return masked_mean(error, batch["action_is_pad"] if self.config.mask_padding else None)

    def sample(
        self, batch: Batch, *, num_samples: int, generators: Sequence[np.random.Generator]
    ) -> Tensor:
        """Returns the one prediction N times, (B, N, H, A)."""
        del generators
        return self(batch)[:, None].expand(-1, num_samples, -1, -1)
