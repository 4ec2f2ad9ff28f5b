"""An arm that stands still: publishes its state at 20 Hz and notes what it is told."""

from collections.abc import Callable
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import PoseStamped, TwistStamped
from rclpy.node import Node
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray
from std_srvs.srv import Trigger

from robot_policy.core.robot import RobotDescription
from robot_policy_ros import conversions as convert
from robot_policy_ros.qos import COMMAND, SENSOR


class FakeArm(Node):
    """Publishes an arm at rest at 20 Hz and notes the commands."""

    def __init__(self, robot: RobotDescription) -> None:
        super().__init__("arm")
        self.robot = robot
        self.silent = False
        self.positions = np.zeros(8)
        self.twists: list[TwistStamped] = []
        self.fingers: list[float] = []
        self.statuses: list[DiagnosticStatus] = []
        command = robot.command
        self.create_subscription(TwistStamped, command.topic, self.twists.append, COMMAND)
        self.create_subscription(
            Float64MultiArray,
            command.gripper_topic,
            lambda m: self.fingers.append(m.data[0]),
            COMMAND,
        )
        self.create_subscription(
            DiagnosticArray, "/diagnostics", lambda m: self.statuses.extend(m.status), 10
        )
        self.pose = self.create_publisher(PoseStamped, robot.ee_pose_topic, SENSOR)
        self.joints = self.create_publisher(JointState, robot.joint_states_topic, SENSOR)
        self.create_timer(0.05, self.publish)

    def publish(self) -> None:
        if self.silent:
            return
        stamp_ns = self.get_clock().now().nanoseconds
        robot = self.robot
        self.pose.publish(
            convert.pose_message(
                np.array([0.5, 0, 0.2]), np.eye(3), frame=robot.base_frame, stamp_ns=stamp_ns
            )
        )
        names = (*robot.joint_names, robot.gripper.joint)
        self.joints.publish(
            convert.joint_state_message(
                names[::-1], self.positions[::-1], velocities=np.zeros(8), stamp_ns=stamp_ns
            )
        )

    def moves(self) -> list[bool]:
        return [bool(m.twist.linear.z) for m in self.twists]

    def service(self, name: str) -> Callable[[], Any]:
        client = self.create_client(Trigger, name)
        return lambda: client.call_async(Trigger.Request())
