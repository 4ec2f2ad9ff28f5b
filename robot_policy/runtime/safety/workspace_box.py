"""Keeps the end effector inside the workspace box of the robot description."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.robot import RobotDescription
from robot_policy.runtime.safety.decision import Decision, Limit, Stage
from robot_policy.runtime.safety.ee_motion import EE_SPACES
from robot_policy.runtime.safety.joint_path import JointPath
from robot_policy.runtime.safety.sent import AT_REST, Sent

_AXES = "xyz"


@dataclass(frozen=True, eq=False)
class WorkspaceBox:
    """Clips translations so that the end effector stays in, or comes back into, the box.

    Outside of the box an axis may move towards it or stand still; it is never pushed, because a
    limit must not cause motion. Where actions are joint angles, the motion is shortened instead,
    as far as kinematics are known: see `JointPath`.

    Attributes:
        low: (3,) corner of the box in the base frame [m].
        high: (3,) opposite corner [m].
        robot: Tells where the end effector is.
    """

    low: NDArray[np.float32]
    high: NDArray[np.float32]
    robot: RobotDescription
    stage: Stage = Stage.CLIP

    @classmethod
    def from_robot(cls, robot: RobotDescription) -> Limit | None:
        """Builds it for `robot`; None where actions are joint angles and kinematics unknown."""
        low, high = robot.workspace.low, robot.workspace.high
        if robot.command.action_space in EE_SPACES:
            return cls(np.array(low, np.float32), np.array(high, np.float32), robot)
        if robot.kinematics is None:
            return None
        return JointPath(robot, _Inside(np.array(low), np.array(high)))

    def restrict(
        self,
        action: NDArray[np.float32],
        state: NDArray[np.float32],
        dt_s: float,
        *,
        sent: Sent = AT_REST,
    ) -> Decision:
        """Clips the translation part of `action`."""
        del dt_s, sent
        position = self.robot.ee_position(state)
        low, high = np.minimum(self.low, position), np.maximum(self.high, position)
        if self.robot.command.action_space.is_delta:
            low, high = low - position, high - position
        clipped = action.copy()
        clipped[:3] = np.clip(action[:3], low, high)
        changed = np.flatnonzero(clipped[:3] != action[:3])
        return Decision(clipped, tuple(f"{_AXES[i]} would leave the workspace" for i in changed))


@dataclass(frozen=True, slots=True, eq=False)
class _Inside:
    """The box as a region of a path: what leaves it, or goes further out, is forbidden."""

    low: NDArray[np.floating]
    high: NDArray[np.floating]
    reason: str = "would leave the workspace"

    def forbidden(
        self, path: NDArray[np.floating], start: NDArray[np.floating], margin: float
    ) -> NDArray[np.bool_]:
        low = np.minimum(self.low + margin, start)
        high = np.maximum(self.high - margin, start)
        return np.any((path < low) | (path > high), axis=-1)
