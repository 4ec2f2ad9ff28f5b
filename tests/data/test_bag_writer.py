"""Bags are opened by two other programs' readers, one of which knows nothing of the writer."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rosbags")

from robot_policy.core.errors import ConfigError, DataError, UnknownNameError
from robot_policy.data import ros_messages as ros
from robot_policy.data.bag_writer import BagWriter

PIXELS = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
STAMP_NS = 1_700_000_000_123_456_789


def messages() -> dict[str, ros.RosMessage]:
    return {
        "/joint_states": ros.joint_state(
            ["b", "a"], np.array([1.5, -2.0]), velocities=np.zeros(2), stamp_ns=STAMP_NS
        ),
        "/ee_pose": ros.pose(
            np.array([0.5, 0.0, 0.2]), np.array([1.0, 0, 0, 0]), frame="base", stamp_ns=STAMP_NS
        ),
        "/twist": ros.twist(np.ones(3), np.zeros(3), frame="base", stamp_ns=STAMP_NS),
        "/camera": ros.image(PIXELS, frame="optical", stamp_ns=STAMP_NS),
        "/vector": ros.named_array(np.array([1.0, 2.0]), ["x", "y"]),
        "/chunks": ros.array(np.arange(24.0).reshape(2, 3, 4), ["candidate", "step", "action"]),
        "/number": ros.number(0.25),
        "/text": ros.text('{"stop": true}'),
        "/status": ros.status("node", level=2, message="fault", values={"reason": "late"}),
    }


@pytest.fixture
def bag(tmp_path: Path) -> Path:
    with BagWriter(tmp_path / "bag") as writer:
        for step in range(3):
            for topic, message in messages().items():
                writer.write(topic, message, stamp_ns=STAMP_NS + step)
    return tmp_path / "bag"


def test_an_independent_reader_reads_the_mcap_file(bag: Path) -> None:
    reader = pytest.importorskip("mcap.reader")
    decoder = pytest.importorskip("mcap_ros2.decoder")
    with (bag / "bag.mcap").open("rb") as file:
        made = reader.make_reader(file, decoder_factories=[decoder.DecoderFactory()])
        read = [(c.topic, m.log_time, d) for _, c, m, d in made.iter_decoded_messages()]
    assert len(read) == 3 * len(messages())
    first: dict[str, Any] = {}
    for topic, stamp_ns, value in read:
        assert STAMP_NS <= stamp_ns < STAMP_NS + 3
        first.setdefault(topic, value)
    joints = first["/joint_states"]
    assert (joints.name, list(joints.position)) == (["b", "a"], [1.5, -2.0])
    assert joints.header.stamp.sec * 10**9 + joints.header.stamp.nanosec == STAMP_NS
    assert bytes(first["/camera"].data) == PIXELS.tobytes()
    assert first["/camera"].step == 18
    assert first["/ee_pose"].pose.orientation.w == 1.0
    assert first["/text"].data == '{"stop": true}'
    assert [d.size for d in first["/chunks"].layout.dim] == [2, 3, 4]
    assert [d.stride for d in first["/chunks"].layout.dim] == [24, 12, 4]


def test_a_rosbag2_reader_reads_the_folder(bag: Path) -> None:
    from rosbags.highlevel import AnyReader

    with AnyReader([bag]) as reader:
        assert {c.topic: c.msgtype for c in reader.connections} == {
            topic: message.type for topic, message in messages().items()
        }
        assert reader.message_count == 3 * len(messages())
        assert reader.start_time == STAMP_NS


@pytest.mark.ros
def test_rclpy_encodes_alike() -> None:
    serialization = pytest.importorskip("rclpy.serialization")
    from sensor_msgs.msg import JointState

    encoded = messages()["/joint_states"]
    message = serialization.deserialize_message(encoded.data, JointState)
    assert list(message.position) == [1.5, -2.0]
    raw = ros.RosMessage(encoded.type, serialization.serialize_message(message))
    assert ros.decode(raw).name == ["b", "a"]
    assert len(raw.data) == len(encoded.data) + 4, "an empty array at the end is aligned"
    assert len(ros.without_padding(raw).data) == len(encoded.data)
    assert ros.without_padding(encoded) is encoded


def test_damaged_bytes_are_refused() -> None:
    whole = messages()["/joint_states"]
    for length in range(0, len(whole.data) - 4, 7):
        with pytest.raises(DataError, match="not such a message"):
            ros.decode(ros.RosMessage(whole.type, whole.data[:length]))


def test_nothing_is_left_of_a_bag_that_was_not_finished(tmp_path: Path) -> None:
    def interrupted() -> None:
        with BagWriter(tmp_path / "bag") as writer:
            writer.write("/text", ros.text("a"), stamp_ns=1)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    with pytest.raises(DataError, match="no message to write"):
        BagWriter(tmp_path / "bag").close()
    assert list(tmp_path.iterdir()) == []


def test_notes_are_kept(tmp_path: Path) -> None:
    import yaml

    writer = BagWriter(tmp_path / "bag")
    writer.write("/text", ros.text("a"), stamp_ns=1)
    writer.close({"outcome": "solved"})
    data = yaml.safe_load((tmp_path / "bag/metadata.yaml").read_text())
    assert data["rosbag2_bagfile_information"]["custom_data"] == {"outcome": "solved"}
    with pytest.raises(ConfigError, match="closed"):
        writer.write("/other", ros.text("a"), stamp_ns=2)


def test_wrong_input_is_refused_in_one_line(bag: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="will not be overwritten"):
        BagWriter(bag)
    with BagWriter(tmp_path / "other") as writer:
        writer.write("/a", ros.text("a"), stamp_ns=1)
        with pytest.raises(DataError, match="another message type"):
            writer.write("/a", ros.number(1.0), stamp_ns=2)
        with pytest.raises(UnknownNameError, match="std_msgs/msg/String"):
            writer.write("/b", ros.RosMessage("std_msgs/msg/Strang", b""), stamp_ns=3)
        assert len(writer) == 1
