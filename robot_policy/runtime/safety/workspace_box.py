"""Keeps the end effector inside the workspace box of the robot description."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.robot import RobotDescription
from robot_policy.core.specs import ActionSpace
from robot_policy.runtime.safety.decision import Decision

_AXES = "xyz"


@dataclass(frozen=True, eq=False)
class WorkspaceBox:
    """Clips translations so that the end effector stays in, or comes back into, the box.

    Outside of the box an axis may move towards it or stand still; it is never pushed, because a
    limit must not cause motion.

    Attributes:
        low: (3,) corner of the box in the base frame [m].
        high: (3,) opposite corner [m].
        robot: Tells where the end effector is.
    """

    low: NDArray[np.float32]
    high: NDArray[np.float32]
    robot: RobotDescription

    @classmethod
    def from_robot(cls, robot: RobotDescription) -> Self | None:
        """Builds it for `robot`; None where actions are joint angles."""
        if robot.command.action_space not in (ActionSpace.EE_DELTA_POSE, ActionSpace.EE_POSE):
            return None
        low, high = robot.workspace.low, robot.workspace.high
        return cls(np.array(low, np.float32), np.array(high, np.float32), robot)

    def restrict(
        self, action: NDArray[np.float32], state: NDArray[np.float32], dt_s: float
    ) -> Decision:
        """Clips the translation part of `action`."""
        del dt_s
        position = self.robot.ee_position(state)
        low, high = np.minimum(self.low, position), np.maximum(self.high, position)
        if self.robot.command.action_space.is_delta:
            low, high = low - position, high - position
        clipped = action.copy()
        clipped[:3] = np.clip(action[:3], low, high)
        changed = np.flatnonzero(clipped[:3] != action[:3])
        return Decision(clipped, tuple(f"{_AXES[i]} would leave the workspace" for i in changed))
