"""Exponential moving average of weights, with warm-up (Chi et al. 2023, appendix)."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from robot_policy.training.config import EmaConfig


class Ema:
    """Averages every floating tensor of a module's state; buffers included.

    shadow <- d shadow + (1 - d) weight, d = min(max_decay, 1 - (1 + n)^-power) at step n.

    Args:
        module: Whose state is averaged. Its tensors are remembered, so they must be changed in
            place, as optimisers and `load_state_dict` do.
        config: Decay.
    """

    def __init__(self, module: nn.Module, config: EmaConfig) -> None:
        self._config = config
        state = {key: value.detach() for key, value in module.state_dict().items()}
        self.shadow = {key: value.clone() for key, value in state.items()}
        averaged = [key for key, value in state.items() if value.is_floating_point()]
        copied = [key for key in state if key not in averaged]
        # One call over all tensors: a network of hundreds of small ones is otherwise a good part
        # of a step.
        self._weights, self._averages = ([s[k] for k in averaged] for s in (state, self.shadow))
        self._copied, self._copies = ([s[k] for k in copied] for s in (state, self.shadow))

    @torch.no_grad()
    def update(self, *, step: int) -> None:
        """Moves the average towards the weights after gradient step number `step` (from 1)."""
        decay = min(self._config.max_decay, 1.0 - (1.0 + step) ** -self._config.power)
        torch._foreach_lerp_(self._averages, self._weights, 1.0 - decay)  # pyright: ignore
        for copy, value in zip(self._copies, self._copied, strict=True):
            copy.copy_(value)

    def load(self, shadow: Mapping[str, Tensor]) -> None:
        """Restores an average that was saved."""
        for key, value in shadow.items():
            self.shadow[key].copy_(value)
