"""The policy node's subscriptions: from the topics of the robot description into `Inputs`."""

from collections.abc import Callable
from typing import Any

from geometry_msgs.msg import PoseStamped
from rclpy.node import Node
from rclpy.subscription import Subscription
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import Float64MultiArray

from robot_policy.core.errors import RobotPolicyError
from robot_policy.core.robot import RobotDescription
from robot_policy.core.specs import PolicySpec
from robot_policy_ros import conversions as convert
from robot_policy_ros.inputs import EE_POSE, ENVIRONMENT_STATE, JOINT_STATES, Inputs, Joints, Pose
from robot_policy_ros.qos import SENSOR

_LOG_PERIOD_S = 10.0


class Subscriptions:
    """Subscribes to what the policy needs and to nothing else.

    A message that cannot be read is logged, and its input is missing until a good one arrives.

    Args:
        node: Owns the subscriptions.
        robot: Gives the topics, names and frames.
        spec: Of the policy; says which of them are needed.
        inputs: Where values go.
        arrived: Called after every value.
    """

    def __init__(
        self,
        node: Node,
        robot: RobotDescription,
        *,
        spec: PolicySpec,
        inputs: Inputs,
        arrived: Callable[[], None],
    ) -> None:
        self._node = node
        self._robot = robot
        self._spec = spec
        self._inputs = inputs
        self._arrived = arrived
        self._subscriptions: list[Subscription] = []
        # Of messages that are there together the executor takes those of earlier subscriptions
        # first, so the joint state, which sets the moment of an observation, comes last.
        if spec.environment_state is not None and robot.environment_state_topic is not None:
            self._subscribe(
                ENVIRONMENT_STATE,
                Float64MultiArray,
                robot.environment_state_topic,
                self._environment_state,
            )
        for camera in spec.cameras:
            self._subscribe(camera, Image, robot.cameras[camera].image_topic, _image)
        self._subscribe(EE_POSE, PoseStamped, robot.ee_pose_topic, self._pose)
        self._subscribe(JOINT_STATES, JointState, robot.joint_states_topic, self._joints)

    def destroy(self) -> None:
        """Ends the subscriptions."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions.clear()

    def _subscribe(
        self, name: str, message_type: Any, topic: str, read: Callable[[Any], tuple[object, int]]
    ) -> None:
        def received(message: Any) -> None:
            try:
                value, stamp_ns = read(message)
            except RobotPolicyError as error:
                self._node.get_logger().error(
                    f"{name}: {error}", throttle_duration_sec=_LOG_PERIOD_S
                )
                self._inputs.reject(name, str(error))
                return
            self._inputs.put(name, value, stamp_ns=stamp_ns)
            self._arrived()

        subscription = self._node.create_subscription(message_type, topic, received, SENSOR)
        self._subscriptions.append(subscription)

    def _joints(self, message: JointState) -> tuple[Joints, int]:
        names = (*self._robot.joint_names, self._robot.gripper.joint)
        positions = convert.positions_by_name(message, names)
        stamp_ns = convert.ns_from_stamp(message.header.stamp)
        return Joints(positions[:-1], float(positions[-1])), stamp_ns

    def _pose(self, message: PoseStamped) -> tuple[Pose, int]:
        position, R = convert.position_and_rotation(message, frame=self._robot.base_frame)
        return Pose(position, R), convert.ns_from_stamp(message.header.stamp)

    def _environment_state(self, message: Float64MultiArray) -> tuple[object, int]:
        assert self._spec.environment_state is not None
        values = convert.named_array(message, self._spec.environment_state.names)
        # The message has no header; it counts as measured when it arrived.
        return values, self._node.get_clock().now().nanoseconds


def _image(message: Image) -> tuple[object, int]:
    return convert.image_from_message(message), convert.ns_from_stamp(message.header.stamp)
