"""The gripper's position as one number, as a forward command controller takes it."""

from typing import Any

from std_msgs.msg import Float64MultiArray

from robot_policy.core.robot import RobotDescription
from robot_policy_ros import conversions as convert


class FingerPosition:
    """std_msgs/Float64MultiArray with the position of the gripper's joint.

    Args:
        robot: Has the gripper.
    """

    message_type = Float64MultiArray

    def __init__(self, robot: RobotDescription) -> None:
        del robot

    def message(self, position: float) -> Float64MultiArray:
        """Builds the command to go to `position` [m or rad]."""
        return convert.finger_message(position)

    def read(self, message: Any) -> float:
        """Returns the position.

        Raises:
            SpecError: If the message does not hold exactly one finite number.
        """
        return convert.finger_position(message)
