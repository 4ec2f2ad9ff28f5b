"""Turns a window of normalised observations into one conditioning vector."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from robot_policy.core.errors import ConfigError
from robot_policy.core.observation import ENVIRONMENT_STATE, STATE
from robot_policy.core.specs import PolicySpec


class StateEncoder(nn.Module):
    """Concatenates the T states, and the privileged states where the policy uses them.

    Args:
        spec: Of the policy.

    Raises:
        ConfigError: If the policy is to see cameras, which this encoder does not.
    """

    def __init__(self, spec: PolicySpec) -> None:
        super().__init__()
        if spec.cameras:
            raise ConfigError(
                "this policy learns from states only",
                where="cameras",
                expected="none",
                got=", ".join(spec.cameras),
            )
        self._keys = [STATE]
        size = spec.state.size
        if spec.environment_state is not None:
            self._keys.append(ENVIRONMENT_STATE)
            size += spec.environment_state.size
        self.out_features = spec.history * size

    def forward(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Returns (B, out_features) from (B, T, S) and (B, T, E)."""
        return torch.cat([batch[key].flatten(1) for key in self._keys], dim=-1)
