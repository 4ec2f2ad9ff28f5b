"""The messages of one episode as arrays, by the robot description."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.errors import DataError
from robot_policy.core.robot import RobotDescription
from robot_policy.data.formats.rosbag_alike import (
    Alike,
    joint_texts_end,
    pose_texts_end,
    quaternion_length,
)
from robot_policy.data.formats.rosbag_commands import Commands, check_frame, check_unit, read_pose
from robot_policy.data.formats.rosbag_episodes import Span
from robot_policy.data.formats.rosbag_resampling import Times
from robot_policy.data.rosbag.bag import Bag
from robot_policy.data.rosbag.mcap_file import RawMessage


@dataclass(frozen=True, slots=True)
class Topics:
    """Topics of a bag by what they carry; None where there is none.

    Attributes:
        joints: sensor_msgs/JointState.
        pose: geometry_msgs/PoseStamped.
        environment: std_msgs/Float64MultiArray.
        motion: Commands of the arm.
        gripper: Commands of the gripper.
        images: Feature to topic.
    """

    joints: str
    pose: str | None = None
    environment: str | None = None
    motion: str | None = None
    gripper: str | None = None
    images: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def all(self) -> set[str]:
        """All of them."""
        named = (self.joints, self.pose, self.environment, self.motion, self.gripper)
        return {topic for topic in named if topic} | set(self.images.values())


@dataclass(slots=True)
class Stream:
    """Times [ns] and values of one kind of message."""

    times: list[int] = field(default_factory=list[int])
    values: list[Any] = field(default_factory=list[Any])

    def put(self, time_ns: int, value: Any) -> None:
        """Adds one."""
        self.times.append(time_ns)
        self.values.append(value)

    def sorted(self) -> tuple[Times, list[Any]]:
        """Both in the order of time; of equal times the later arrival comes later."""
        order = np.argsort(np.array(self.times, dtype=np.int64), kind="stable")
        times = np.array(self.times, dtype=np.int64)[order]
        return times, [self.values[i] for i in order.tolist()]


@dataclass(frozen=True, slots=True)
class Streams:
    """All messages of an episode.

    Attributes:
        joints: Messages, see `decode_positions`.
        pose: Messages, see `decode_pose`.
        environment: (E,).
        motion: (n, M) one control period apart, in the space of the interface.
        gripper: 0 open .. 1 closed.
        images: Feature to the number of the message within the span.
    """

    joints: Stream
    pose: Stream
    environment: Stream
    motion: Stream
    gripper: Stream
    images: Mapping[str, Stream]


def read_streams(
    span: Span, topics: Topics, robot: RobotDescription, commands: Commands, *, start_ns: int
) -> Streams:
    """Reads all messages of an episode; of images only the times.

    Joints and poses come far oftener than steps are made of them. They are decoded when one is, and
    before that only looked at: whether they tell of this robot.

    Args:
        span: The episode.
        topics: Where they are.
        robot: Says what they mean.
        commands: Reads its commands.
        start_ns: From this log time on, earlier than the episode by what may be that old [ns].

    Raises:
        DataError: If a message is damaged, or has another frame or other joints.
    """
    streams = Streams(
        Stream(), Stream(), Stream(), Stream(), Stream(), {key: Stream() for key in topics.images}
    )
    cameras = {topic: streams.images[key] for key, topic in topics.images.items()}
    joints = Alike(lambda raw: decode_positions(span.bag, raw, robot), joint_texts_end)
    poses = Alike(lambda raw: decode_pose(span.bag, raw, robot), pose_texts_end)
    for raw in span.bag.messages(topics.all, start_ns=start_ns, end_ns=span.end_ns):
        where = f"{span.bag.path}, {raw.topic}"
        if raw.topic in cameras:
            images = cameras[raw.topic]
            images.put(raw.header_stamp_ns, len(images.times))
            continue
        if raw.topic == topics.joints:
            joints.check(raw)
            streams.joints.put(raw.header_stamp_ns, raw)
            continue
        if raw.topic == topics.pose:
            poses.check(raw)
            check_unit(quaternion_length(raw.data), where=where)
            streams.pose.put(raw.header_stamp_ns, raw)
            continue
        message = span.bag.decode(raw)
        if raw.topic == topics.environment:
            # These messages have no header; they count as measured when they arrived.
            streams.environment.put(raw.log_ns, np.array(message.data, dtype=np.float32))
        elif raw.topic == topics.motion:
            _put_command(streams, commands, raw, message, where)
        else:
            streams.gripper.put(raw.log_ns, commands.gripper(message, where=where))
    return streams


def _put_command(
    streams: Streams, commands: Commands, raw: RawMessage, message: Any, where: str
) -> None:
    header_ns = raw.header_stamp_ns if hasattr(message, "header") else 0
    sent_ns, values, position = commands.arm(
        message, header_ns=header_ns, log_ns=raw.log_ns, where=where
    )
    streams.motion.put(sent_ns, values)
    if position is not None:
        streams.gripper.put(raw.log_ns, commands.fraction(position))


def decode_pose(
    bag: Bag, raw: RawMessage, robot: RobotDescription
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Decodes a pose.

    Returns:
        Position [m] and rotation matrix in the robot's base frame.

    Raises:
        DataError: If it is damaged, or in another frame.
    """
    where, message = f"{bag.path}, {raw.topic}", bag.decode(raw)
    check_frame(message, robot, where=where)
    return read_pose(message, where=where)


def decode_positions(bag: Bag, raw: RawMessage, robot: RobotDescription) -> NDArray[np.float64]:
    """Decodes a joint state.

    Returns:
        (J + 1,) joints [rad] and finger, in the robot's order.

    Raises:
        DataError: If it is damaged, or lacks a joint.
    """
    where, message = f"{bag.path}, {raw.topic}", bag.decode(raw)
    index = {str(name): i for i, name in enumerate(message.name)}
    names = (*robot.joint_names, robot.gripper.joint)
    missing = [name for name in names if name not in index]
    if missing or len(message.position) != len(message.name):
        raise DataError(
            "not the joints of the robot", where=where, expected=names, got=list(message.name)
        )
    return np.array([message.position[index[name]] for name in names], dtype=np.float64)
