"""Support: how usual a chunk is among what was done in such a situation."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from robot_policy.core.errors import ConfigError
from robot_policy.core.specs import PolicySpec
from robot_policy.critics.config import CriticConfig
from robot_policy.critics.module import Critic, chunk_of
from robot_policy.critics.q_network import QNetwork
from robot_policy.nets.draws import Draws
from robot_policy.nets.mixture import GaussianMixture, mixture_outputs
from robot_policy.nets.mlp import mlp
from robot_policy.nets.trainable import Batch

_USUAL = 0.05
"""Share of the data that counts as unusual."""
_FOLLOW = 0.02


@dataclass(frozen=True)
class SupportConfig(CriticConfig):
    """Hyper-parameters of `Support`."""

    modes: int = 8
    """Gaussians in the mixture."""
    least_std: float = 0.05
    """Least standard deviation of a normalised action."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.modes < 1:
            raise ConfigError("must be positive", where="modes", got=self.modes)
        if self.least_std <= 0:
            raise ConfigError("must be positive", where="least_std", got=self.least_std)
        if self.variable_length:
            raise ConfigError("support is that of whole chunks", where="variable_length")


class Support(Critic[SupportConfig]):
    """s(o, l, a) = (log p(a | o, l) - q) / d, p a mixture of Gaussians over the H * A numbers.

    q is the 5 % quantile of log p over the data and d its distance to the median, both followed in
    training: below 0 a chunk is less usual than 95 % of what was recorded, and at 1 it is as usual
    as half of it. Where support is thin, a value function has seen nothing it could judge by.
    """

    config_type = SupportConfig
    presets: ClassVar[Mapping[str, SupportConfig]] = {
        "cpu": SupportConfig(vision_width=16, ensemble=1),
        "gpu": SupportConfig(ensemble=1, width=512, hidden=(512, 512)),
    }
    learns_values = False
    sampling_options = frozenset()

    usual: Tensor

    def __init__(self, config: SupportConfig, spec: PolicySpec) -> None:
        super().__init__(config, spec)
        size = spec.horizon * spec.action.size
        self.trunk = QNetwork(config, spec, outputs=1)
        # Only its trunk is used; the heads judge one chunk, this describes all of them.
        del self.trunk.heads
        self.density = mlp(config.width, config.hidden, mixture_outputs(config.modes, size))
        self.register_buffer("usual", torch.tensor([0.0, 1.0]))
        self._seen: Tensor | None = None

    def loss(self, batch: Batch, *, draws: Draws) -> Tensor:
        """Returns -log p per number of a chunk."""
        features = self.trunk.encode(batch, draws=draws)
        size = self.spec.horizon * self.spec.action.size
        density = self._mixture(features).log_density(chunk_of(batch).flatten(2))[:, 0] / size
        if self.training:
            self._seen = density.detach()
        return -density.mean()

    @torch.no_grad()
    def after_step(self) -> None:
        """Follows the quantiles of the data."""
        if self._seen is None:
            return
        levels = torch.tensor([_USUAL, 0.5], device=self._seen.device)
        self.usual.lerp_(torch.quantile(self._seen.float(), levels), _FOLLOW)
        self._seen = None

    def encode(self, batch: Batch) -> Tensor:
        """Encodes what is seen and asked for, (B, W)."""
        return self.trunk.encode(batch)

    def judge(self, features: Tensor, actions: Tensor) -> Tensor:
        """Returns support (1, B, N)."""
        size = self.spec.horizon * self.spec.action.size
        density = self._mixture(features).log_density(actions.flatten(2)) / size
        least, middle = self.usual
        return ((density - least) / (middle - least).clamp(min=1e-3))[None]

    def _mixture(self, features: Tensor) -> GaussianMixture:
        return GaussianMixture.of_outputs(
            self.density(features), modes=self.config.modes, least_std=self.config.least_std
        ).unsqueeze(1)
