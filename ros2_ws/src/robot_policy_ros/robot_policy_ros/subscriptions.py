"""The policy node's subscriptions: from the topics of the robot description into `Inputs`."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Any

import numpy as np
from geometry_msgs.msg import PoseStamped
from numpy.typing import NDArray
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.subscription import Subscription
from sensor_msgs.msg import CompressedImage, Image, JointState
from std_msgs.msg import Float64MultiArray, String

from robot_policy.core.errors import ConfigError, RobotPolicyError, SpecError, UnknownNameError
from robot_policy.core.observation import GOAL_CAMERA
from robot_policy.core.robot import RobotDescription
from robot_policy.core.specs import PolicySpec
from robot_policy.data.compressed_image import decode_picture
from robot_policy.runtime.black_box import BlackBox
from robot_policy_ros import conversions as convert
from robot_policy_ros.decoding_thread import DecodingThread
from robot_policy_ros.inputs import (
    EE_POSE,
    ENVIRONMENT_STATE,
    INSTRUCTION,
    JOINT_STATES,
    Inputs,
    Joints,
    Pose,
)
from robot_policy_ros.qos import COMMAND, SENSOR

_LOG_PERIOD_S = 10.0
_BEYOND_RAD = 0.2
"""Arms are seen a little beyond their limits; the safety filter is what keeps them inside."""
_COMPRESSED = "/compressed"
_LONGEST_INSTRUCTION = 4096


class ImageTransport(StrEnum):
    """How camera images travel.

    RAW: sensor_msgs/Image on the topic of the description.
    COMPRESSED: sensor_msgs/CompressedImage on the topic of the description and ``/compressed``.
    """

    RAW = "raw"
    COMPRESSED = "compressed"


@dataclass(frozen=True, slots=True)
class InputTopics:
    """What the robot description does not say of the inputs.

    Attributes:
        transport: Of the camera images. A topic that ends in ``/compressed`` is compressed anyway.
        instruction: std_msgs/String with the task text; empty where there is none.
        goal: sensor_msgs/Image, or compressed, of what is wanted; empty where there is none.
    """

    transport: ImageTransport = ImageTransport.RAW
    instruction: str = ""
    goal: str = ""

    @classmethod
    def parse(cls, *, transport: str, instruction: str, goal: str) -> "InputTopics":
        """Reads the texts of the parameters.

        Raises:
            UnknownNameError: If there is no such transport.
        """
        if transport not in list(ImageTransport):
            raise UnknownNameError.of(
                "transport", transport, ImageTransport, where="image_transport"
            )
        return cls(ImageTransport(transport), instruction, goal)

    def check(self, spec: PolicySpec) -> None:
        """Checks that a goal image is there exactly if the policy takes one.

        Raises:
            ConfigError: If not.
        """
        if GOAL_CAMERA in spec.cameras and not self.goal:
            raise ConfigError("the policy takes a goal image", where="parameter goal_image_topic")
        if self.goal and GOAL_CAMERA not in spec.cameras:
            raise ConfigError(
                "the policy takes no goal image",
                where="parameter goal_image_topic",
                expected=f"a policy with observation.images.{GOAL_CAMERA}, or no topic",
                got=self.goal,
            )

    def images(self, topic: str) -> tuple[str, bool]:
        """Returns the topic of a camera, and whether its images are compressed."""
        if topic.endswith(_COMPRESSED):
            return topic, True
        if self.transport == ImageTransport.COMPRESSED:
            return f"{topic}{_COMPRESSED}", True
        return topic, False


class Subscriptions:
    """Subscribes to what the policy needs and to nothing else.

    A message that cannot be read is logged, and its input is missing until a good one arrives.
    Compressed images are decoded in a thread per camera. The pose of an arm that publishes none is
    computed from its joints.

    Args:
        node: Owns the subscriptions.
        robot: Gives the topics, names and frames.
        spec: Of the policy; says which of them are needed.
        inputs: Where values go.
        arrived: Called after every value that may complete an observation, from any thread.
        topics: What the description does not say.
        black_box: Takes every value too; None keeps nothing.
    """

    def __init__(
        self,
        node: Node,
        robot: RobotDescription,
        *,
        spec: PolicySpec,
        inputs: Inputs,
        arrived: Callable[[], None],
        topics: InputTopics | None = None,
        black_box: BlackBox | None = None,
    ) -> None:
        self._node = node
        self._robot = robot
        self._spec = spec
        self._inputs = inputs
        self._arrived = arrived
        self._topics = topics or InputTopics()
        self._black_box = black_box
        self._subscriptions: list[Subscription] = []
        self._threads: list[DecodingThread] = []
        # Of messages that are there together the executor takes those of earlier subscriptions
        # first, so the joint state, which sets the moment of an observation, comes last.
        if self._topics.instruction:
            self._subscribe(
                INSTRUCTION, String, self._topics.instruction, self._instruction, COMMAND
            )
        if GOAL_CAMERA in spec.cameras:
            self._subscribe_to_goal(self._topics.goal)
        if spec.environment_state is not None and robot.environment_state_topic is not None:
            self._subscribe(
                ENVIRONMENT_STATE,
                Float64MultiArray,
                robot.environment_state_topic,
                self._environment_state,
            )
        for camera in spec.cameras:
            if camera != GOAL_CAMERA:
                self._subscribe_to_camera(camera)
        if robot.ee_pose_topic is not None:
            self._subscribe(EE_POSE, PoseStamped, robot.ee_pose_topic, self._pose)
        self._subscribe(JOINT_STATES, JointState, robot.joint_states_topic, self._joints)

    def destroy(self) -> None:
        """Ends the subscriptions."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions.clear()
        for thread in self._threads:
            thread.close()
        self._threads.clear()

    def _subscribe(
        self,
        name: str,
        message_type: Any,
        topic: str,
        take: Callable[[Any], None],
        qos: QoSProfile = SENSOR,
    ) -> None:
        def received(message: Any) -> None:
            try:
                take(message)
            except RobotPolicyError as error:
                self._reject(name, error)

        subscription = self._node.create_subscription(message_type, topic, received, qos)
        self._subscriptions.append(subscription)

    def _subscribe_to_camera(self, camera: str) -> None:
        put = partial(self._put, camera)
        topic, compressed = self._topics.images(self._robot.cameras[camera].image_topic)
        if not compressed:
            self._subscribe(camera, Image, topic, lambda m: put(*_image(m)))
            return
        thread = DecodingThread(camera, _picture, done=put, failed=partial(self._reject, camera))
        self._threads.append(thread)

        def take(message: CompressedImage) -> None:
            stamp_ns = convert.ns_from_stamp(message.header.stamp)
            self._inputs.expect(camera, stamp_ns=stamp_ns, now_ns=self._now_ns())
            thread.submit(message, stamp_ns=stamp_ns)

        self._subscribe(camera, CompressedImage, topic, take)

    def _subscribe_to_goal(self, topic: str) -> None:
        compressed = topic.endswith(_COMPRESSED)
        message_type = CompressedImage if compressed else Image
        read = _picture if compressed else convert.image_from_message
        expected = self._spec.cameras[GOAL_CAMERA]

        def take(message: Any) -> None:
            image = expected.validate(read(message), where=f"goal image on {topic}")
            self._inputs.put_goal(image)
            self._arrived()

        self._subscribe(GOAL_CAMERA, message_type, topic, take, COMMAND)

    def _put(self, name: str, value: object, stamp_ns: int) -> None:
        complete = self._inputs.put(name, value, stamp_ns=stamp_ns)
        self._record(name, value)
        if complete:
            self._arrived()

    def _record(self, name: str, value: Any) -> None:
        if self._black_box is None:
            return
        # Stamps may be what is wrong, so records go by the time of arrival.
        if name in self._spec.cameras:
            self._black_box.put_image(name, value, stamp_ns=self._now_ns())
        else:
            self._black_box.put(name, value, stamp_ns=self._now_ns())

    def _reject(self, name: str, error: RobotPolicyError) -> None:
        self._node.get_logger().error(f"{name}: {error}", throttle_duration_sec=_LOG_PERIOD_S)
        self._inputs.reject(name, str(error))

    def _joints(self, message: JointState) -> None:
        names = (*self._robot.joint_names, self._robot.gripper.joint)
        positions = convert.positions_by_name(message, names)
        _check_range(positions[:-1], self._robot)
        joints = Joints(positions[:-1], float(positions[-1]))
        stamp_ns = convert.ns_from_stamp(message.header.stamp)
        if self._robot.ee_pose_topic is None:
            assert self._robot.kinematics is not None  # a description without either is refused
            base_T_ee = self._robot.kinematics.pose(joints.positions)
            pose = Pose(base_T_ee[:3, 3], base_T_ee[:3, :3])
            self._inputs.put(EE_POSE, pose, stamp_ns=stamp_ns)
        self._put(JOINT_STATES, joints, stamp_ns)

    def _pose(self, message: PoseStamped) -> None:
        position, R = convert.position_and_rotation(message, frame=self._robot.base_frame)
        self._put(EE_POSE, Pose(position, R), convert.ns_from_stamp(message.header.stamp))

    def _environment_state(self, message: Float64MultiArray) -> None:
        assert self._spec.environment_state is not None
        values = convert.named_array(message, self._spec.environment_state.names)
        # The message has no header; it counts as measured when it arrived.
        self._put(ENVIRONMENT_STATE, values, self._now_ns())

    def _instruction(self, message: String) -> None:
        text = message.data.strip()
        if len(text) > _LONGEST_INSTRUCTION:
            raise SpecError(
                "too long",
                where=f"instruction on {self._topics.instruction}",
                expected=f"at most {_LONGEST_INSTRUCTION} characters",
                got=len(text),
            )
        if text != self._inputs.instruction:
            self._node.get_logger().info(f"instruction: {text}")
        self._inputs.instruct(text)
        self._arrived()

    def _now_ns(self) -> int:
        return self._node.get_clock().now().nanoseconds


def _check_range(positions: NDArray[np.float64], robot: RobotDescription) -> None:
    """Refuses angles that the arm cannot have, which come of other units or a broken encoder."""
    limits = robot.joint_limits
    bounds = zip(robot.joint_names, positions, limits.low, limits.high, strict=True)
    for name, position, low, high in bounds:
        if not low - _BEYOND_RAD <= position <= high + _BEYOND_RAD:
            raise SpecError(
                "out of its range",
                where=f"joint {name}",
                expected=f"{low:.3f} .. {high:.3f} rad",
                got=f"{position:.3f}",
            )


def _image(message: Image) -> tuple[object, int]:
    return convert.image_from_message(message), convert.ns_from_stamp(message.header.stamp)


def _picture(message: CompressedImage) -> Any:
    if "compressedDepth" in message.format:
        raise SpecError("a depth image", where="CompressedImage", got=message.format)
    data: Any = message.data
    return decode_picture(memoryview(data), where=f"CompressedImage {message.format!r}")
