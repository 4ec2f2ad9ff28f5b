"""Subscribes to what the arm is commanded, by whomever, in the form that its description says."""

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from rclpy.node import Node

from robot_policy.core.errors import RobotPolicyError
from robot_policy.core.robot import GripperInterface, RobotDescription
from robot_policy_ros.interfaces.arm_interface import ArmInterface
from robot_policy_ros.interfaces.registry import GRIPPERS, INTERFACES
from robot_policy_ros.qos import COMMAND

_LOG_PERIOD_S = 10.0


class CommandSink(Protocol):
    """Where commands go."""

    def put_motion(self, values: NDArray[Any], *, stamp_ns: int) -> None:
        """Takes (n, M) values in the space of the interface, one per control period."""
        ...

    def put_gripper(self, fraction: float, *, stamp_ns: int) -> None:
        """Takes a command of the gripper, 0 open .. 1 closed."""
        ...


class CommandSubscriptions:
    """Reads the command topics of the robot description.

    A message that cannot be read is logged and changes nothing. One without a stamp counts from
    when it arrived.

    Args:
        node: Owns the subscriptions.
        robot: Gives topics, frame, joints and control period.
        sink: Where commands go.
        where: Gives (J,) where the joints are, for trajectories that begin there; None if unknown.
    """

    def __init__(
        self,
        node: Node,
        robot: RobotDescription,
        sink: CommandSink,
        *,
        where: Callable[[], NDArray[Any] | None] = lambda: None,
    ) -> None:
        command = robot.command
        self._node = node
        self._robot = robot
        self._sink = sink
        self._where = where
        self._gripper_comes_along = command.gripper_interface == GripperInterface.WITH_ARM
        self._arm: ArmInterface = INTERFACES[command.interface](robot)
        node.create_subscription(self._arm.message_type, command.topic, self._on_arm, COMMAND)
        if not self._gripper_comes_along:
            self._gripper: Any = GRIPPERS[command.gripper_interface](robot)
            node.create_subscription(
                self._gripper.message_type, command.gripper_topic, self._on_gripper, COMMAND
            )

    def _on_arm(self, message: Any) -> None:
        now_ns = self._node.get_clock().now().nanoseconds
        try:
            received = self._arm.read(message, start=self._start())
        except RobotPolicyError as error:
            self._refuse(error)
            return
        stamp_ns = now_ns if received.stamp_ns is None else received.stamp_ns
        values = received.values
        if self._gripper_comes_along:
            self._put_gripper(float(values[0, -1]), now_ns)
            values = values[:, :-1]
        self._sink.put_motion(values, stamp_ns=stamp_ns)

    def _start(self) -> NDArray[np.floating[Any]] | None:
        joints = self._where()
        if joints is None or not self._gripper_comes_along:
            return joints
        return None  # the gripper's place would have to be known too; the first point is not far

    def _on_gripper(self, message: Any) -> None:
        now_ns = self._node.get_clock().now().nanoseconds
        try:
            position = self._gripper.read(message)
        except RobotPolicyError as error:
            self._refuse(error)
            return
        self._put_gripper(position, now_ns)

    def _put_gripper(self, position: float, stamp_ns: int) -> None:
        fraction = self._robot.gripper.fraction_from_position(position)
        self._sink.put_gripper(fraction, stamp_ns=stamp_ns)

    def _refuse(self, error: RobotPolicyError) -> None:
        self._node.get_logger().error(
            f"a command cannot be read: {error}", throttle_duration_sec=_LOG_PERIOD_S
        )
