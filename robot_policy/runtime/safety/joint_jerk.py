"""Keeps the acceleration of the joints from changing too fast."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.robot import RobotDescription
from robot_policy.runtime.safety.decision import Decision, Limit, Stage
from robot_policy.runtime.safety.joint_map import has_joint_motion, joint_stage
from robot_policy.runtime.safety.joint_motion import JointMotion
from robot_policy.runtime.safety.sent import AT_REST, Sent


@dataclass(frozen=True, slots=True, eq=False)
class JointJerk:
    """``|a_k - a_(k-1)| <= j_max dt``, with ``a_k = (v_k - v_(k-1)) / dt``, of what is commanded.

    As with the acceleration, slowing down is not restricted.

    Attributes:
        largest: (J,) [rad/s^3].
        robot: Tells what actions mean.
        stage: Joint actions are clipped joint by joint, those of the end effector shortened.
    """

    largest: NDArray[np.floating]
    robot: RobotDescription
    stage: Stage

    @classmethod
    def from_robot(cls, robot: RobotDescription) -> Limit | None:
        """Builds it for `robot`; None where limit or joint motion is unknown."""
        largest = robot.joint_limits.jerk
        if largest is None or not has_joint_motion(robot):
            return None
        return cls(np.array(largest), robot, joint_stage(robot))

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
        change = self.largest * dt_s
        low = motion.velocity + (motion.acceleration - change) * dt_s
        high = motion.velocity + (motion.acceleration + change) * dt_s
        return motion.within_velocity(low, high, reason="jerks")
