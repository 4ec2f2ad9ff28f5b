"""Joint trajectories, as ros2_control's joint_trajectory_controller takes them on its topic.

Points have positions only, so that the controller interpolates between them, and are one control
period apart; the first is to be reached one period from now. The header's stamp is zero, which
means now: no two clocks need to agree, and a message that replaces another takes over where the
arm is.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from trajectory_msgs.msg import JointTrajectory

from robot_policy.core.joint_path import resampled
from robot_policy.core.robot import RobotDescription
from robot_policy_ros import trajectories
from robot_policy_ros.interfaces.arm_interface import Received, commanded_joints


class JointTrajectoryPoint:
    """One point, of the first action.

    Args:
        robot: Names the joints, and gives the period.
    """

    message_type = JointTrajectory
    points: int | None = 1

    def __init__(self, robot: RobotDescription) -> None:
        self._names = commanded_joints(robot)
        self._dt_s = robot.dt_s

    def message(self, values: NDArray[np.floating[Any]], *, stamp_ns: int) -> JointTrajectory:
        """Builds a trajectory through the places (n, M)."""
        del stamp_ns
        return trajectories.trajectory_message(
            self._names, values[: self.points], period_s=self._dt_s
        )

    def read(self, message: Any, *, start: NDArray[np.floating[Any]] | None) -> Received:
        """Returns the places (n, M) that the trajectory leads through, one per period."""
        times_s, points = trajectories.points_by_name(message, self._names)
        places = resampled(times_s, points, period_s=self._dt_s, start=start)
        return Received(places)


class JointTrajectoryChunk(JointTrajectoryPoint):
    """All that is planned from now on: if the next message is late, the arm goes on as planned."""

    points = None
