"""Of messages that differ in their numbers alone, only the first is decoded and checked."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_policy.data import ros_messages
from robot_policy.data.formats.rosbag_alike import Alike, joint_texts_end, pose_texts_end
from robot_policy.data.ros_messages import RosMessage, decode
from robot_policy.data.rosbag.mcap_file import RawMessage

NAMES = st.text(min_size=0, max_size=9)


def raw(message: RosMessage) -> RawMessage:
    return RawMessage("/topic", 0, message.data)


@given(NAMES, st.lists(NAMES, max_size=5), st.integers(0, 2**40))
def test_the_texts_end_where_the_positions_begin(
    frame: str, names: list[str], stamp_ns: int
) -> None:
    positions = np.arange(1.0, 1.0 + len(names))
    message = ros_messages.joint_state(names, positions, stamp_ns=stamp_ns, frame=frame)
    end = joint_texts_end(message.data)
    assert int.from_bytes(message.data[end - 4 : end], "little") == len(names)
    if names:
        start = end + -(end - 4) % 8  # doubles are aligned to their size
        found = np.frombuffer(message.data, "<f8", len(names), start)
        np.testing.assert_array_equal(found, positions)


@given(NAMES)
def test_the_frame_of_a_pose_ends_before_it(frame: str) -> None:
    message = ros_messages.pose(np.arange(3.0), np.eye(4)[0], frame=frame, stamp_ns=5)
    end = pose_texts_end(message.data)
    np.testing.assert_array_equal(np.frombuffer(message.data[end:], "<f8")[:3], np.arange(3.0))
    assert frame.encode() in message.data[12:end]


def test_what_differs_in_more_than_numbers_is_checked() -> None:
    checked: list[list[str]] = []

    def check(message: RawMessage) -> None:
        names = [
            str(name)
            for name in decode(RosMessage("sensor_msgs/msg/JointState", message.data)).name
        ]
        checked.append(names)
        if "bad" in names:
            raise ValueError("bad")

    alike = Alike(check, joint_texts_end)
    rng = np.random.default_rng(0)

    def send(*names: str, count: int | None = None) -> None:
        positions = rng.normal(size=len(names) if count is None else count)
        stamp_ns = int(rng.integers(10**12))
        alike.check(raw(ros_messages.joint_state(names, positions, stamp_ns=stamp_ns)))

    send("a", "b")
    for _ in range(5):
        send("a", "b")
    assert checked == [["a", "b"]]
    send("a", "c")
    send("b", "a")
    send("a", "b", count=1)
    assert checked[1:] == [["a", "c"], ["b", "a"], ["a", "b"]]
    for _ in range(2):  # what was refused is not known
        with pytest.raises(ValueError, match="bad"):
            send("bad", "b")
    before = len(checked)
    send("a", "b")
    assert len(checked) == before + 1
