"""Keeps the joints from speeding up too fast."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.robot import RobotDescription
from robot_policy.runtime.safety.decision import Decision, Limit, Stage
from robot_policy.runtime.safety.joint_map import has_joint_motion, joint_stage
from robot_policy.runtime.safety.joint_motion import JointMotion
from robot_policy.runtime.safety.sent import AT_REST, Sent


@dataclass(frozen=True, slots=True, eq=False)
class JointAcceleration:
    """``|v_k - v_(k-1)| <= a_max dt``, of what is commanded, for a joint that gets faster.

    Braking is not restricted: a limit that kept a joint going would cause motion. To turn round, a
    joint that cannot in one period stops first.

    Attributes:
        largest: (J,) [rad/s^2].
        robot: Tells what actions mean.
        stage: Joint actions are clipped joint by joint, those of the end effector shortened.
    """

    largest: NDArray[np.floating]
    robot: RobotDescription
    stage: Stage

    @classmethod
    def from_robot(cls, robot: RobotDescription) -> Limit | None:
        """Builds it for `robot`; None where limit or joint motion is unknown."""
        largest = robot.joint_limits.acceleration
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
        low, high = motion.velocity - change, motion.velocity + change
        return motion.within_velocity(low, high, reason="accelerates too fast")
