"""The filter between policy and arm: a list of limits, stop wins."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.registry import Registry
from robot_policy.core.robot import RobotDescription
from robot_policy.runtime.safety.decision import Decision, Limit

LIMITS = Registry(
    "limit",
    {
        "well_formed": "robot_policy.runtime.safety.well_formed:WellFormed",
        "command_range": "robot_policy.runtime.safety.command_range:CommandRange",
        "workspace_box": "robot_policy.runtime.safety.workspace_box:WorkspaceBox",
    },
)
"""Every limit is built by ``from_robot(robot)``, which returns None where it does not apply."""


class SafetyFilter:
    """Applies limits one after the other and collects their reasons.

    Args:
        limits: A limit that stops ends the evaluation, so those that check form come first.
    """

    def __init__(self, limits: Sequence[Limit]) -> None:
        self.limits = tuple(limits)

    @classmethod
    def from_robot(cls, robot: RobotDescription) -> "SafetyFilter":
        """Builds every registered limit that applies to `robot`."""
        build: list[Callable[[RobotDescription], Limit | None]] = [
            LIMITS[name].from_robot for name in LIMITS
        ]
        limits = (from_robot(robot) for from_robot in build)
        return cls([limit for limit in limits if limit is not None])

    def restrict(
        self, action: NDArray[np.float32], state: NDArray[np.float32], dt_s: float
    ) -> Decision:
        """Restricts one action.

        Args:
            action: (A,) to be executed.
            state: (S,) the robot now.
            dt_s: Control period [s].

        Returns:
            The restricted action with every reason, or stop at the first limit that stops.
        """
        reasons: tuple[str, ...] = ()
        for limit in self.limits:
            decision = limit.restrict(action, state, dt_s)
            reasons += decision.reasons
            if decision.stop:
                return Decision(decision.action, reasons, stop=True)
            action = decision.action
        return Decision(action, reasons)
