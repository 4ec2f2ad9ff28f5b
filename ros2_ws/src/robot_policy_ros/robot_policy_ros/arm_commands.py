"""The policy node's publishers: actions become the messages that the arm takes."""

from collections.abc import Callable
from typing import Any

import numpy as np
from geometry_msgs.msg import TwistStamped
from numpy.typing import NDArray
from rclpy.lifecycle import LifecycleNode
from std_msgs.msg import Float64, Float64MultiArray

from robot_policy.core.errors import ConfigError
from robot_policy.core.robot import CommandInterface, RobotDescription
from robot_policy.core.specs import ActionSpace
from robot_policy_ros import conversions as convert
from robot_policy_ros.qos import COMMAND


class ArmCommands:
    """Publishes commands while the node is active; the `Outputs` of its control loop.

    Args:
        node: Owns the publishers.
        robot: Gives topics, frame and control period.
        on_fault: Called with the reason of a fault.

    Raises:
        ConfigError: If the command interface cannot carry the robot's actions.
    """

    def __init__(
        self, node: LifecycleNode, robot: RobotDescription, *, on_fault: Callable[[str], None]
    ) -> None:
        _check_interface(robot)
        self._node = node
        self._robot = robot
        self._on_fault = on_fault
        command = robot.command
        create: Any = node.create_lifecycle_publisher
        self._twist = create(TwistStamped, command.topic, COMMAND)
        self._gripper = create(Float64MultiArray, command.gripper_topic, COMMAND)
        self._planning = create(Float64, "~/planning_ms", COMMAND)

    def destroy(self) -> None:
        """Ends the publishers."""
        for publisher in (self._twist, self._gripper, self._planning):
            self._node.destroy_lifecycle_publisher(publisher)

    def command(self, action: NDArray[np.float32]) -> None:
        """Publishes an action (A,), the gripper first: the twist is what sets the arm in motion."""
        gripper, robot = self._robot.gripper, self._robot
        fingers = gripper.position_from_fraction(float(action[-1]))
        self._gripper.publish(convert.finger_message(fingers))
        stamp_ns = self._node.get_clock().now().nanoseconds
        self._twist.publish(
            convert.twist_message(
                action[:-1], dt_s=robot.dt_s, frame=robot.base_frame, stamp_ns=stamp_ns
            )
        )

    def planned(self, duration_ms: float) -> None:
        """Publishes how long the policy took for a chunk [ms]."""
        self._planning.publish(Float64(data=duration_ms))

    def fault(self, reason: str) -> None:
        """Passes a fault on."""
        self._on_fault(reason)


def _check_interface(robot: RobotDescription) -> None:
    command = robot.command
    match command.interface:
        case CommandInterface.TWIST:
            if command.action_space != ActionSpace.EE_DELTA_POSE:
                raise ConfigError(
                    "a twist cannot carry these actions",
                    where=f"robot {robot.name}",
                    expected=f"action_space {ActionSpace.EE_DELTA_POSE}",
                    got=command.action_space,
                )
