"""Real-time chunking: the policy plans on from what the arm will do while it plans."""

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.errors import ConfigError
from robot_policy.core.specs import PolicySpec
from robot_policy.runtime.agent_config import AgentConfig
from robot_policy.runtime.schedules.schedule import Actions, OneChunk, Prefix


class RealTimeChunking(OneChunk):
    """Gives the policy the actions under way as the beginning of its new chunk.

    Black, Galliker and Levine 2025 (https://arxiv.org/abs/2506.07339). Those that will be
    executed before the answer is there are binding, the others of the old chunk count less the
    later they are, so that the new chunk stays with the strategy of the old one and still reacts.
    How a policy heeds them is its own affair, see `Windows.prefix`.

    The expected delay is the longest of the last plans; the chunk is joined by the delay that it
    has really had.

    Raises:
        ConfigError: If the policy cannot begin its chunk with given actions.
    """

    uses_prefix = True

    def __init__(self, spec: PolicySpec, config: AgentConfig) -> None:
        super().__init__(spec, config)
        if not spec.joins_prefix:
            raise ConfigError(
                "this policy cannot begin a chunk with given actions",
                where="schedule rtc",
                expected="a policy whose spec says joins_prefix, diffusion or flow for example",
                hint="async and ensemble work with any policy",
            )

    def prefix(self, executed: Actions, *, delay: int) -> Prefix | None:
        """Returns the old chunk from the observation on, filled up to the horizon.

        The length is always the same, so that a policy that is compiled for its shapes is so
        once.
        """
        under_way = np.concatenate([executed, self.remaining])[: self.spec.horizon]
        if not len(self.remaining):
            return None
        actions = np.zeros((self.spec.horizon, self.spec.action.size), np.float32)
        actions[: len(under_way)] = under_way
        weights = np.zeros(self.spec.horizon, np.float32)
        weights[: len(under_way)] = soft_mask(
            len(under_way), decided=min(len(executed) + delay, len(under_way))
        )
        return Prefix(actions, weights)


def soft_mask(length: int, *, decided: int) -> NDArray[np.float64]:
    """Returns how binding each of the `length` actions under way is, (length,).

    1 for i < d; c (e^c - 1) / (e - 1) with c = (L - i) / (L - d + 1) from d on, which falls from
    nearly 1 towards 0 (equation 5 of the paper, where L is H - s).

    Args:
        length: L.
        decided: d, at most `length`.
    """
    i = np.arange(length)
    c = (length - i) / (length - decided + 1)
    return np.where(i < decided, 1.0, c * np.expm1(c) / np.expm1(1.0))
