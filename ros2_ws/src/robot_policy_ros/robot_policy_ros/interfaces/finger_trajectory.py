"""The gripper's position as a trajectory, for grippers behind a joint_trajectory_controller."""

from typing import Any

import numpy as np
from trajectory_msgs.msg import JointTrajectory

from robot_policy.core.robot import RobotDescription
from robot_policy_ros import trajectories


class FingerTrajectory:
    """trajectory_msgs/JointTrajectory of the gripper's joint, one point.

    Args:
        robot: Names the joint, and gives the period.
    """

    message_type = JointTrajectory

    def __init__(self, robot: RobotDescription) -> None:
        self._names = (robot.gripper.joint,)
        self._dt_s = robot.dt_s

    def message(self, position: float) -> JointTrajectory:
        """Builds the command to be at `position` [m or rad] after a control period."""
        points = np.array([[position]])
        return trajectories.trajectory_message(self._names, points, period_s=self._dt_s)

    def read(self, message: Any) -> float:
        """Returns the last position.

        Raises:
            SpecError: If the message is not a trajectory of the gripper's joint.
        """
        return float(trajectories.points_by_name(message, self._names)[1][-1, 0])
