"""Records the topics of a robot into one bag per episode, beside the callbacks."""

import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geometry_msgs.msg import PoseStamped, TwistStamped
from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, JointState
from std_msgs.msg import Float64MultiArray, String

from robot_policy.core.errors import DataError, RobotPolicyError
from robot_policy.core.robot import RobotDescription
from robot_policy.data.bag_writer import BagWriter
from robot_policy.data.ros_messages import RosMessage, without_padding
from robot_policy_ros.qos import COMMAND, SENSOR
from robot_policy_ros.subscriptions import InputTopics

_MOST_WAITING_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class RecordedTopic:
    """A topic that goes into the bag."""

    name: str
    message_type: Any
    qos: QoSProfile

    @property
    def type_name(self) -> str:
        """For example ``sensor_msgs/msg/Image``."""
        package, module, *_ = self.message_type.__module__.split(".")
        return f"{package}/{module}/{self.message_type.__name__}"


def recorded_topics(
    robot: RobotDescription, cameras: Sequence[str], topics: InputTopics
) -> list[RecordedTopic]:
    """Returns what there is to record of a robot: sensors, cameras, commands, instruction."""
    found = [RecordedTopic(robot.joint_states_topic, JointState, SENSOR)]
    if robot.ee_pose_topic is not None:
        found.append(RecordedTopic(robot.ee_pose_topic, PoseStamped, SENSOR))
    if robot.environment_state_topic is not None:
        found.append(RecordedTopic(robot.environment_state_topic, Float64MultiArray, SENSOR))
    for camera in cameras:
        topic, compressed = topics.images(robot.cameras[camera].image_topic)
        found.append(RecordedTopic(topic, CompressedImage if compressed else Image, SENSOR))
        found.append(RecordedTopic(robot.cameras[camera].info_topic, CameraInfo, SENSOR))
    if topics.instruction:
        found.append(RecordedTopic(topics.instruction, String, COMMAND))
    command = robot.command
    found.append(RecordedTopic(command.topic, TwistStamped, COMMAND))
    found.append(RecordedTopic(command.gripper_topic, Float64MultiArray, COMMAND))
    return found


class BagRecording:
    """Writes messages as they arrive, without decoding them, in a thread of its own.

    What arrives while a quarter of a gigabyte waits for the disk is dropped and counted.

    Args:
        node: Owns the subscriptions.
        topics: What is recorded.
        failed: Called from the thread with what went wrong.
    """

    def __init__(
        self, node: Node, topics: Sequence[RecordedTopic], *, failed: Callable[[str], None]
    ) -> None:
        self.dropped = 0
        """Messages of the bag under way that the disk was too slow for."""
        self._node = node
        self._failed = failed
        self._bag: BagWriter | None = None
        self._recording = False
        self._waiting_bytes = 0
        self._lock = threading.Lock()
        self._tasks: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="write bag")
        self._thread.start()
        for topic in topics:
            self._subscribe(topic)

    def start(self, folder: Path) -> None:
        """Begins a bag.

        Raises:
            ConfigError: If there is something at `folder` already.
        """
        bag = BagWriter(folder)
        self.dropped = 0
        self._tasks.put(lambda: self._begin(bag))
        self._recording = True

    def finish(self, notes: Mapping[str, str]) -> None:
        """Ends the bag; it is in its place once what waits has been written."""
        self._recording = False
        self._tasks.put(lambda: self._end(notes))

    def discard(self) -> None:
        """Ends the bag and removes it."""
        self._recording = False
        self._tasks.put(self._drop)

    def close(self) -> None:
        """Removes a bag that is under way, writes what waits, and ends the thread."""
        self.discard()
        self._tasks.put(None)
        self._thread.join()

    def _subscribe(self, topic: RecordedTopic) -> None:
        name = self._node.resolve_topic_name(topic.name)
        type_name = topic.type_name

        def received(data: bytes) -> None:
            if not self._recording:
                return
            with self._lock:
                full = self._waiting_bytes + len(data) > _MOST_WAITING_BYTES
                self._waiting_bytes += 0 if full else len(data)
            if full:
                self.dropped += 1
                return
            stamp_ns = self._node.get_clock().now().nanoseconds
            message = RosMessage(type_name, data)
            self._tasks.put(lambda: self._write(name, message, stamp_ns))

        self._node.create_subscription(
            topic.message_type, topic.name, received, topic.qos, raw=True
        )

    def _run(self) -> None:
        while (task := self._tasks.get()) is not None:
            try:
                task()
            except (RobotPolicyError, OSError) as error:
                self._drop()
                self._failed(str(error))

    def _begin(self, bag: BagWriter) -> None:
        self._bag = bag

    def _write(self, topic: str, message: RosMessage, stamp_ns: int) -> None:
        with self._lock:
            self._waiting_bytes -= len(message.data)
        if self._bag is None:
            return
        # Only arrays at the end are padded, and pictures are never empty.
        small = len(message.data) < 4096
        tidy = without_padding(message) if small else message
        self._bag.write(topic, tidy, stamp_ns=stamp_ns)

    def _end(self, notes: Mapping[str, str]) -> None:
        bag, self._bag = self._bag, None
        if bag is None:
            raise DataError("the bag was given up earlier")
        bag.close({**notes, "dropped_messages": str(self.dropped)})

    def _drop(self) -> None:
        bag, self._bag = self._bag, None
        if bag is not None:
            bag.discard()
