"""Joint positions, as ros2_control's forward command controllers take them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from std_msgs.msg import Float64MultiArray

from robot_policy.core.errors import SpecError
from robot_policy.core.robot import RobotDescription
from robot_policy_ros.interfaces.arm_interface import Received, commanded_joints


class ForwardPosition:
    """The joints in the order of the controller's parameter ``joints``, which must be the robot's.

    Args:
        robot: Names the joints.
    """

    message_type = Float64MultiArray

    def __init__(self, robot: RobotDescription) -> None:
        self._names = commanded_joints(robot)

    def message(self, values: NDArray[np.floating[Any]], *, stamp_ns: int) -> Float64MultiArray:
        """Builds the first positions (M,); the message has no stamp."""
        del stamp_ns
        return Float64MultiArray(data=[float(x) for x in values[0]])

    def read(self, message: Any, *, start: NDArray[np.floating[Any]] | None) -> Received:
        """Returns the positions (1, M)."""
        del start
        positions = np.array(message.data, dtype=np.float64)
        if positions.shape != (len(self._names),) or not np.isfinite(positions).all():
            raise SpecError(
                "not joint positions",
                where="Float64MultiArray",
                expected=f"{len(self._names)} numbers: {', '.join(self._names)}",
                got=positions.tolist(),
            )
        return Received(positions[None])
