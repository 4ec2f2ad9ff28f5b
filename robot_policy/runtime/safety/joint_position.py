"""Keeps the joints within their ranges, also where actions move the end effector."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.robot import RobotDescription
from robot_policy.runtime.safety.decision import Decision, Limit, Stage
from robot_policy.runtime.safety.joint_map import has_joint_motion, joint_stage
from robot_policy.runtime.safety.joint_margin import JointMargin
from robot_policy.runtime.safety.joint_motion import JointMotion
from robot_policy.runtime.safety.sent import AT_REST, Sent


@dataclass(frozen=True, slots=True, eq=False)
class JointPosition:
    """``q_min <= q_k <= q_max`` of what is commanded.

    A joint outside of its range may come back or stand still.

    Attributes:
        low: (J,) [rad].
        high: (J,) [rad].
        robot: Tells where the joints are.
        stage: Joint actions are clipped joint by joint, those of the end effector shortened.
    """

    low: NDArray[np.floating]
    high: NDArray[np.floating]
    robot: RobotDescription
    stage: Stage

    @classmethod
    def from_robot(cls, robot: RobotDescription) -> Limit:
        """Builds it for `robot`; where the joint motion is unknown, the one that stops."""
        if not has_joint_motion(robot):
            return JointMargin.from_robot(robot)
        limits = robot.joint_limits
        return cls(np.array(limits.low), np.array(limits.high), robot, joint_stage(robot))

    def restrict(
        self,
        action: NDArray[np.float32],
        state: NDArray[np.float32],
        dt_s: float,
        *,
        sent: Sent = AT_REST,
    ) -> Decision:
        """Restricts the motion of the joints."""
        motion = JointMotion.of(self.robot, action, state, dt_s, sent=sent)
        here = self.robot.joint_positions(state)
        low, high = np.minimum(0.0, self.low - here), np.maximum(0.0, self.high - here)
        return motion.within_displacement(low, high, reason="would leave its range")
