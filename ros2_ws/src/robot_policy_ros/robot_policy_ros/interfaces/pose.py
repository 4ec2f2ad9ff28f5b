"""Poses that the end effector is servoed to."""

from typing import Any

import numpy as np
from geometry_msgs.msg import PoseStamped
from numpy.typing import NDArray

from robot_policy.core.errors import SpecError
from robot_policy.core.geometry import matrix_from_rotvec, rotvec_from_matrix
from robot_policy.core.robot import RobotDescription
from robot_policy_ros import conversions as convert
from robot_policy_ros.interfaces.arm_interface import Received


class Pose:
    """Position and rotation vector become a pose in the base frame.

    Args:
        robot: Gives the frame.
    """

    message_type = PoseStamped

    def __init__(self, robot: RobotDescription) -> None:
        self._frame = robot.base_frame

    def message(self, values: NDArray[np.floating[Any]], *, stamp_ns: int) -> PoseStamped:
        """Builds the first pose (6,)."""
        position, R = values[0, :3], matrix_from_rotvec(values[0, 3:6])
        return convert.pose_message(position, R, frame=self._frame, stamp_ns=stamp_ns)

    def read(self, message: Any, *, start: NDArray[np.floating[Any]] | None) -> Received:
        """Returns the pose (1, 6); its rotation vector is at most pi long."""
        del start
        position, R = convert.position_and_rotation(message, frame=self._frame)
        if not np.isfinite(position).all():
            raise SpecError("not finite", where="PoseStamped", got=position.tolist())
        values = np.concatenate([position, rotvec_from_matrix(R)])
        return Received(values[None], convert.ns_from_stamp(message.header.stamp))
