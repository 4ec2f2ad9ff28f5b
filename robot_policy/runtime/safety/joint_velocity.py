"""Keeps the joints below their largest velocities."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.robot import RobotDescription
from robot_policy.runtime.safety.decision import Decision, Limit, Stage
from robot_policy.runtime.safety.joint_map import has_joint_motion, joint_stage
from robot_policy.runtime.safety.joint_motion import JointMotion
from robot_policy.runtime.safety.sent import AT_REST, Sent


@dataclass(frozen=True, slots=True, eq=False)
class JointVelocity:
    """``|v_k| <= v_max``, with ``v_k = (q_k - q_(k-1)) / dt`` of what is commanded.

    Attributes:
        largest: (J,) [rad/s].
        robot: Tells what actions mean.
        stage: Joint actions are clipped joint by joint, those of the end effector shortened.
    """

    largest: NDArray[np.floating]
    robot: RobotDescription
    stage: Stage

    @classmethod
    def from_robot(cls, robot: RobotDescription) -> Limit | None:
        """Builds it for `robot`; None where the joint motion of an action is unknown."""
        largest = robot.joint_limits.velocity
        if not has_joint_motion(robot):
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
        return motion.within_velocity(-self.largest, self.largest, reason="too fast")
