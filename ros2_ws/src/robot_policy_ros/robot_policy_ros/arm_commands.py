"""Publishers of commands: actions become the messages that the arm takes."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rclpy.lifecycle import LifecycleNode
from std_msgs.msg import Float64

from robot_policy.core.command_values import values_from_actions
from robot_policy.core.robot import GripperInterface, RobotDescription
from robot_policy_ros.interfaces.arm_interface import ArmInterface
from robot_policy_ros.interfaces.registry import GRIPPERS, INTERFACES
from robot_policy_ros.qos import COMMAND


class ActionPublishers:
    """Publishes actions on the topics of the robot description.

    Args:
        create: Makes a publisher out of a type, a topic and a quality of service.
        robot: Says in which form, and on which topics.
        state: Gives the last known state (S,), which displacements count from where the arm takes
            places.
        now_ns: Clock of the stamps.
    """

    def __init__(
        self,
        create: Callable[..., Any],
        robot: RobotDescription,
        *,
        state: Callable[[], NDArray[np.float32] | None],
        now_ns: Callable[[], int],
    ) -> None:
        self._robot = robot
        self._state = state
        self._now_ns = now_ns
        command = robot.command
        self._interface: ArmInterface = INTERFACES[command.interface](robot)
        self._arm = create(self._interface.message_type, command.topic, COMMAND)
        self._gripper_form: Any = None
        self.publishers = [self._arm]
        if command.gripper_interface != GripperInterface.WITH_ARM:
            self._gripper_form = GRIPPERS[command.gripper_interface](robot)
            form = self._gripper_form.message_type
            self._gripper = create(form, command.gripper_topic, COMMAND)
            self.publishers.append(self._gripper)

    def command(
        self, action: NDArray[np.float32], following: NDArray[np.float32] | None = None
    ) -> None:
        """Publishes an action (A,), the gripper first: the arm's message sets the arm in motion.

        Args:
            action: For now.
            following: (R, A) planned after it, for interfaces that take more than one action.
        """
        state = self._state()
        assert state is not None  # nothing is decided, nor held, before there is one
        actions = action[None] if following is None else np.vstack([action, following])
        gripper = self._robot.gripper
        fingers = [gripper.position_from_fraction(float(a[-1])) for a in actions]
        values = values_from_actions(self._robot, actions, state)
        if self._gripper_form is None:
            values = np.column_stack([values, fingers])
        else:
            self._gripper.publish(self._gripper_form.message(fingers[0]))
        self._arm.publish(self._interface.message(values, stamp_ns=self._now_ns()))


class ArmCommands:
    """Publishes commands while the node is active; the `Outputs` of its control loop.

    Args:
        node: Owns the publishers.
        robot: Says in which form, and on which topics.
        state: See `ActionPublishers`.
        on_fault: Called with the reason of a fault.
    """

    def __init__(
        self,
        node: LifecycleNode,
        robot: RobotDescription,
        *,
        state: Callable[[], NDArray[np.float32] | None],
        on_fault: Callable[[str], None],
    ) -> None:
        self._node = node
        self._on_fault = on_fault
        create: Any = node.create_lifecycle_publisher
        self._actions = ActionPublishers(
            create, robot, state=state, now_ns=lambda: node.get_clock().now().nanoseconds
        )
        self.command = self._actions.command
        self._planning = create(Float64, "~/planning_ms", COMMAND)

    def destroy(self) -> None:
        """Ends the publishers."""
        for publisher in (*self._actions.publishers, self._planning):
            self._node.destroy_lifecycle_publisher(publisher)

    def planned(self, duration_ms: float) -> None:
        """Publishes how long the policy took for a chunk [ms]."""
        self._planning.publish(Float64(data=duration_ms))

    def fault(self, reason: str) -> None:
        """Passes a fault on."""
        self._on_fault(reason)
