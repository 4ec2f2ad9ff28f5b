"""Exponential moving average of weights, with warm-up (Chi et al. 2023, appendix)."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from robot_policy.training.config import EmaConfig


class Ema:
    """Averages every floating tensor of a module's state; buffers included.

    shadow <- d shadow + (1 - d) weight, d = min(max_decay, 1 - (1 + n)^-power) at step n.

    Args:
        module: Whose state is averaged.
        config: Decay.
    """

    def __init__(self, module: nn.Module, config: EmaConfig) -> None:
        self._config = config
        self.shadow = {key: value.detach().clone() for key, value in module.state_dict().items()}

    @torch.no_grad()
    def update(self, module: nn.Module, *, step: int) -> None:
        """Moves the average towards the weights after gradient step number `step` (from 1)."""
        decay = min(self._config.max_decay, 1.0 - (1.0 + step) ** -self._config.power)
        state = module.state_dict()
        averaged = [key for key, value in state.items() if value.is_floating_point()]
        for key in averaged:
            self.shadow[key].lerp_(state[key], 1.0 - decay)
        for key in state.keys() - set(averaged):
            self.shadow[key].copy_(state[key])

    def load(self, shadow: Mapping[str, Tensor]) -> None:
        """Restores an average that was saved."""
        for key, value in shadow.items():
            self.shadow[key].copy_(value)
