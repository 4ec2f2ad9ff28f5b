"""Velocities of the end effector, as MoveIt Servo takes them."""

from typing import Any

import numpy as np
from geometry_msgs.msg import TwistStamped
from numpy.typing import NDArray

from robot_policy.core.robot import RobotDescription
from robot_policy_ros import conversions as convert
from robot_policy_ros.interfaces.arm_interface import Received


class Twist:
    """A displacement over one control period becomes the velocity that makes it.

    Args:
        robot: Gives frame and period.
    """

    message_type = TwistStamped

    def __init__(self, robot: RobotDescription) -> None:
        self._frame = robot.base_frame
        self._dt_s = robot.dt_s

    def message(self, values: NDArray[np.floating[Any]], *, stamp_ns: int) -> TwistStamped:
        """Builds the velocity for the first displacement (6,)."""
        return convert.twist_message(
            values[0], dt_s=self._dt_s, frame=self._frame, stamp_ns=stamp_ns
        )

    def read(self, message: Any, *, start: NDArray[np.floating[Any]] | None) -> Received:
        """Returns the displacement (1, 6)."""
        del start
        delta = convert.delta_from_twist(message, dt_s=self._dt_s, frame=self._frame)
        return Received(delta[None], convert.ns_from_stamp(message.header.stamp))
