"""Samples out of a recording: where the arm stood still, and what the cameras saw there."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibration.board import Board
from calibration.detection import detect, to_gray
from robot_policy.capture.arm import Picture, Reading
from robot_policy.capture.automatic import Tally
from robot_policy.capture.folder import CaptureFolder
from robot_policy.capture.plan import apart
from robot_policy.capture.stillness import Stillness
from robot_policy.core.errors import DataError
from robot_policy.core.geometry import transform
from robot_policy.core.robot import RobotDescription
from robot_policy.data.formats.rosbag_commands import check_frame, read_pose
from robot_policy.data.formats.rosbag_episodes import find_topic, require_topic
from robot_policy.data.formats.rosbag_images import pixels_of
from robot_policy.data.rosbag.bag import Bag
from robot_policy.data.rosbag.mcap_file import RawMessage

type Array = NDArray[np.floating]

_NEW_RAD = 0.05
"""How far a pose must be from those before it."""
_APART_NS = 50_000_000
"""How far apart the stamps of joints, pose and pictures may be while the arm stands still [ns]."""


@dataclass(frozen=True, slots=True)
class _Rest:
    """A time in which the arm stood still, and what it said of itself in the middle."""

    start_ns: int
    end_ns: int
    reading: Reading


def capture_from_bag(
    bag: Bag,
    robot: RobotDescription,
    folder: CaptureFolder,
    board: Board,
    *,
    cameras: tuple[str, ...],
    say: Callable[[str], None],
) -> Tally:
    """Takes a sample of every pose at which the arm stood still and the board was seen.

    Samples that the folder holds already, from an attempt that was stopped, are not taken again.

    Args:
        bag: With joint states and images, by the topics of the description.
        robot: The arm.
        folder: Takes the samples.
        board: That is looked for.
        cameras: By their names in the description; the first must see the board.
        say: Told what is going on.

    Raises:
        DataError: If a topic is missing or damaged, or the arm never stood still.
    """
    tally = Tally(taken=len(folder.taken.samples))
    poses = [s.base_T_gripper for s in folder.taken.samples if s.base_T_gripper is not None]
    images = {camera: _Pictures(bag, _image_topic(bag, robot, camera)) for camera in cameras}
    rests = list(_rests(bag, robot))
    if not rests:
        raise DataError(
            "the arm never stands still in this recording",
            where=bag.path,
            hint="pause at every pose for half a second",
        )
    for rest in rests:
        if any(apart(rest.reading.base_T_ee, pose) < _NEW_RAD for pose in poses):
            continue
        pictures = {camera: seen.at(rest) for camera, seen in images.items()}
        found = {c: picture for c, picture in pictures.items() if picture is not None}
        if cameras[0] not in found or detect(board, to_gray(found[cameras[0]].pixels)) is None:
            tally.unseen += 1
            continue
        folder.take(robot, rest.reading, found)
        poses.append(rest.reading.base_T_ee)
        tally.taken += 1
        tally.new += 1
        say(f"sample {tally.taken}")
    return tally


def _image_topic(bag: Bag, robot: RobotDescription, camera: str) -> str:
    name = robot.cameras[camera].image_topic
    compressed = find_topic(bag, f"{name}/compressed")
    raw = find_topic(bag, name)
    if raw is not None and bag.counts.get(raw, 0):
        return raw
    return compressed or require_topic(bag, name)


def _rests(bag: Bag, robot: RobotDescription) -> Iterator[_Rest]:
    """Times of rest, one after the other."""
    still, readings = Stillness(), []
    for reading in _readings(bag, robot):
        if still.put(reading.stamp_ns, reading.joints, reading.velocities):
            readings.append(reading)
        elif readings:
            yield _rest(readings)
            readings = []
    if readings:
        yield _rest(readings)


def _rest(readings: list[Reading]) -> _Rest:
    middle = readings[len(readings) // 2]
    return _Rest(readings[0].stamp_ns, readings[-1].stamp_ns, middle)


def _readings(bag: Bag, robot: RobotDescription) -> Iterator[Reading]:
    poses = _poses(bag, robot)
    topic = require_topic(bag, robot.joint_states_topic)
    for raw in bag.messages([topic]):
        where = f"{bag.path}, {topic}"
        message = bag.decode(raw)
        joints = _by_name(message, message.position, robot, where=where)
        if len(message.velocity) == len(message.name):
            velocities = _by_name(message, message.velocity, robot, where=where)
        else:
            velocities = None
        pose = _pose_at(raw.header_stamp_ns, joints, poses, robot)
        if pose is not None:
            yield Reading(raw.header_stamp_ns, joints, velocities, robot.gripper.open, pose)


def _by_name(message: Any, values: Any, robot: RobotDescription, *, where: str) -> Array:
    index = {str(name): i for i, name in enumerate(message.name)}
    for name in robot.joint_names:
        if name not in index or index[name] >= len(values):
            raise DataError(f"joint {name!r} is missing", where=where, valid=index)
    return np.array([values[index[name]] for name in robot.joint_names], dtype=np.float64)


def _poses(bag: Bag, robot: RobotDescription) -> tuple[NDArray[np.int64], Array] | None:
    """Stamps (n,) [ns] and base_T_ee (n, 4, 4) of the pose topic; None where there is none."""
    if robot.ee_pose_topic is None:
        return None
    topic = require_topic(bag, robot.ee_pose_topic)
    stamps: list[int] = []
    poses: list[Array] = []
    for raw in bag.messages([topic]):
        message = bag.decode(raw)
        check_frame(message, robot, where=f"{bag.path}, {topic}")
        position, R = read_pose(message, where=f"{bag.path}, {topic}")
        stamps.append(raw.header_stamp_ns)
        poses.append(transform(R, position))
    if not poses:
        raise DataError("no message", where=f"{bag.path}, {topic}")
    return np.array(stamps), np.array(poses)


def _pose_at(
    stamp_ns: int,
    joints: Array,
    poses: tuple[NDArray[np.int64], Array] | None,
    robot: RobotDescription,
) -> Array | None:
    if poses is None:
        assert robot.kinematics is not None  # a description without either is refused
        return robot.kinematics.pose(joints)
    nearest = int(np.abs(poses[0] - stamp_ns).argmin())
    return poses[1][nearest] if abs(poses[0][nearest] - stamp_ns) <= _APART_NS else None


class _Pictures:
    """The images of one topic, found by their stamps; decoded when they are needed."""

    def __init__(self, bag: Bag, topic: str) -> None:
        self._bag = bag
        self._topic = topic
        times = [(raw.header_stamp_ns, raw.log_ns) for raw in bag.messages([topic])]
        self._stamps_ns = np.array([stamp_ns for stamp_ns, _ in times], dtype=np.int64)
        self._logs_ns = [log_ns for _, log_ns in times]

    def at(self, rest: _Rest) -> Picture | None:
        """The one exposed nearest to the middle of a time of rest; None if none was in it."""
        stamps_ns = self._stamps_ns
        within = (stamps_ns >= rest.start_ns) & (stamps_ns <= rest.end_ns + _APART_NS)
        if not within.any():
            return None
        off = np.where(within, np.abs(stamps_ns - rest.reading.stamp_ns), np.iinfo(np.int64).max)
        stamp_ns, log_ns = int(stamps_ns[off.argmin()]), self._logs_ns[int(off.argmin())]
        where = f"{self._bag.path}, {self._topic}"
        for raw in self._bag.messages([self._topic], start_ns=log_ns, end_ns=log_ns):
            if raw.header_stamp_ns == stamp_ns:
                return Picture(stamp_ns, self._pixels(raw, where))
        raise DataError("a message is gone", where=where)

    def _pixels(self, raw: RawMessage, where: str) -> NDArray[np.uint8]:
        pixels = pixels_of(self._bag.decode(raw), where=where)
        if pixels.dtype != np.uint8:
            raise DataError("a depth image", where=where, expected="a colour image")
        return pixels
