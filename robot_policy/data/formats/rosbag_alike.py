"""Tells messages that differ in their numbers alone, without decoding each."""

import math
import struct
from collections.abc import Callable

from robot_policy.data.rosbag.mcap_file import RawMessage

_ENCAPSULATION_BYTES = 4  # CDR aligns from there
_STAMP_END = _ENCAPSULATION_BYTES + 8
_POSE_BYTES = 7 * 8


class Alike:
    """Checks messages of a topic, but for those that are like the last one that was checked.

    Args:
        check: Raises if there is something wrong with a message.
        texts_end: Returns where in a message that is right the texts after the stamp end.
    """

    def __init__(
        self, check: Callable[[RawMessage], object], texts_end: Callable[[bytes], int]
    ) -> None:
        self._check = check
        self._texts_end = texts_end
        self._known: bytes | None = None
        self._size = 0

    def check(self, raw: RawMessage) -> None:
        """Raises what the check raises."""
        data, known = raw.data, self._known
        if known is not None and len(data) == self._size:
            encapsulation = data[:_ENCAPSULATION_BYTES] == known[:_ENCAPSULATION_BYTES]
            if encapsulation and data[_STAMP_END : len(known)] == known[_STAMP_END:]:
                return
        self._check(raw)
        self._known, self._size = data[: self._texts_end(data)], len(data)


def pose_texts_end(data: bytes) -> int:
    """Where the frame of a geometry_msgs/PoseStamped ends; the pose comes last."""
    return len(data) - _POSE_BYTES


def quaternion_length(data: bytes) -> float:
    """Of the orientation of a geometry_msgs/PoseStamped, its last four numbers."""
    return math.hypot(*struct.unpack_from("<4d" if data[1] & 1 else ">4d", data, len(data) - 32))


def joint_texts_end(data: bytes) -> int:
    """Where names and number of positions of a sensor_msgs/JointState end."""
    integer = struct.Struct("<I" if data[1] & 1 else ">I")

    def number(at: int) -> tuple[int, int]:
        at += -(at - _ENCAPSULATION_BYTES) % integer.size
        return integer.unpack_from(data, at)[0], at + integer.size

    length, at = number(_STAMP_END)
    count, at = number(at + length)
    for _ in range(count):
        length, at = number(at)
        at += length
    return number(at)[1]
