"""Bags written and read here, and by an independent library."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mcap.reader import make_reader
from mcap_ros2.decoder import DecoderFactory
from rosbags.rosbag2 import Reader

from robot_policy.core.errors import DataError
from robot_policy.data import ros_messages
from robot_policy.data.ros_messages import RosMessage
from robot_policy.data.rosbag.bag import Bag, is_bag
from robot_policy.data.rosbag.bag_file_writer import BagFileWriter
from robot_policy.data.rosbag.bag_metadata import read_bag_metadata, write_bag_metadata

IMAGE = "sensor_msgs/msg/Image"
TEXT = "std_msgs/msg/String"
START = 1_700_000_000_123_456_789


def image(number: int, *, height: int = 3, width: int = 4) -> RosMessage:
    pixels = np.full((height, width, 3), number % 256, np.uint8)
    return ros_messages.image(pixels, stamp_ns=START + number, frame="camera")


def write(folder: Path, *, files: int = 2, messages: int = 5) -> None:
    folder.mkdir()
    entries = []
    for number in range(files):
        with BagFileWriter(folder / f"bag_{number}.mcap") as writer:
            for i in range(messages):
                at = number * messages + i
                writer.write("/image", image(at), stamp_ns=START + at)
                writer.write("/text", ros_messages.text(f"text {at} ü"), stamp_ns=START + at)
        entries.append(writer.close())
    write_bag_metadata(folder, entries, custom={"robot_policy": '{"a": "b: c\\n"}'})


def test_what_is_written_is_read(tmp_path: Path) -> None:
    write(tmp_path / "bag")
    assert is_bag(tmp_path / "bag")
    assert is_bag(tmp_path / "bag/bag_0.mcap")
    bag = Bag(tmp_path / "bag")
    assert bag.types == {"/image": IMAGE, "/text": TEXT}
    assert bag.counts == {"/image": 10, "/text": 10}
    assert bag.custom == {"robot_policy": '{"a": "b: c\\n"}'}
    np.testing.assert_array_equal(bag.log_times("/image"), START + np.arange(10))
    read = list(bag.messages(["/image"], start_ns=START + 2, end_ns=START + 7))
    assert [m.log_ns - START for m in read] == [2, 3, 4, 5, 6, 7]
    assert [m.header_stamp_ns - START for m in read] == [2, 3, 4, 5, 6, 7]
    message = bag.decode(read[0])
    assert (message.height, message.width, message.encoding) == (3, 4, "rgb8")
    assert bytes(message.data) == bytes([2]) * 36
    assert [bag.decode(m).data for m in bag.messages(["/text"])][9] == "text 9 ü"


def test_metadata_yaml_is_what_was_given(tmp_path: Path) -> None:
    write(tmp_path / "bag")
    metadata = read_bag_metadata(tmp_path / "bag")
    assert metadata.files == ("bag_0.mcap", "bag_1.mcap")
    assert metadata.counts == {"/image": 10, "/text": 10}
    assert metadata.types == {"/image": IMAGE, "/text": TEXT}
    assert (metadata.storage, metadata.compression) == ("mcap", "")


def test_another_library_reads_the_bag(tmp_path: Path) -> None:
    write(tmp_path / "bag")
    with (tmp_path / "bag/bag_1.mcap").open("rb") as stream:
        reader = make_reader(stream, validate_crcs=True, decoder_factories=[DecoderFactory()])
        messages = [m for _, c, _, m in reader.iter_decoded_messages() if c.topic == "/image"]
    assert [m.header.stamp.nanosec - START % 10**9 for m in messages] == [5, 6, 7, 8, 9]
    assert messages[0].data == bytes([5]) * 36


def test_another_library_reads_the_folder(tmp_path: Path) -> None:
    write(tmp_path / "bag")
    with Reader(tmp_path / "bag") as reader:
        assert reader.message_count == 20
        assert {c.topic: c.msgtype for c in reader.connections} == {"/image": IMAGE, "/text": TEXT}
        stamps = []
        for connection, stamp, data in reader.messages():
            message: Any = ros_messages.typestore().deserialize_cdr(data, connection.msgtype)
            stamps.append(stamp)
            if connection.topic == "/image":
                assert message.header.stamp.nanosec == stamp % 10**9
                assert len(message.data) == 36
        assert stamps == sorted(stamps)


def test_a_file_that_was_cut_off_is_refused_or_recovered(tmp_path: Path) -> None:
    path = tmp_path / "cut.mcap"
    with BagFileWriter(path, compress=False) as writer:
        for number in range(3):
            writer.write("/image", image(number, height=1000, width=1200), stamp_ns=START + number)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 2 // 3])
    with pytest.raises(DataError, match=r"cut off.*--recover"):
        Bag(path)
    bag = Bag(path, recover=True)
    assert bag.files[0].recovered
    assert bag.counts == {"/image": 2}
    assert len(list(bag.messages(["/image"]))) == 2
    np.testing.assert_array_equal(bag.log_times("/image"), [START, START + 1])
    path.write_bytes(whole[:100])
    with pytest.raises(DataError, match="nothing can be recovered"):
        Bag(path, recover=True)


def test_a_flipped_bit_is_found(tmp_path: Path) -> None:
    write(tmp_path / "bag", files=1)
    path = tmp_path / "bag/bag_0.mcap"
    data = bytearray(path.read_bytes())
    data[300] ^= 4
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"bag_0\.mcap: "):
        list(Bag(tmp_path / "bag").messages(["/image", "/text"]))


def test_what_is_no_bag_is_named(tmp_path: Path) -> None:
    assert not is_bag(tmp_path)
    with pytest.raises(DataError, match="no such bag"):
        Bag(tmp_path)
    write(tmp_path / "bag")
    metadata = tmp_path / "bag/metadata.yaml"
    text = metadata.read_text()
    for changed, message in (
        (text.replace("bag_0.mcap", "../cut.mcap"), "a file outside the bag"),
        (text.replace("storage_identifier: mcap", "storage_identifier: sqlite3"), "sqlite3"),
        (text[:100], "not the metadata of a bag|not a readable YAML"),
        ("a: [", "not a readable YAML file"),
    ):
        metadata.write_text(changed)
        with pytest.raises(DataError, match=message):
            Bag(tmp_path / "bag")
    metadata.unlink()
    with pytest.raises(DataError, match=r"no metadata\.yaml"):
        Bag(tmp_path / "bag")
    assert Bag(tmp_path / "bag", recover=True).counts == {"/image": 10, "/text": 10}


@pytest.mark.parametrize("which", ["a chunk is forgotten", "a time is wrong"])
def test_an_index_that_is_damaged_is_refused_or_made_anew(which: str, tmp_path: Path) -> None:
    """The library takes it as it is; episodes would be missing in silence."""
    write(tmp_path / "bag", files=1)
    path = tmp_path / "bag/bag_0.mcap"
    data = bytearray(path.read_bytes())
    statistics = data.rindex(b"\x0b" + (46 + 2 * 10).to_bytes(8, "little"))
    chunk_index = data.index(b"\x08", data.rindex(b"/text", 0, statistics))
    if which == "a chunk is forgotten":
        data[chunk_index] = 0x7F  # an opcode that readers skip
    else:
        data[chunk_index + 9] ^= 1
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"the index (is damaged|lacks chunks).*--recover"):
        Bag(path)
    assert len(list(Bag(path, recover=True).messages(["/text"]))) == 5


def test_an_index_of_messages_that_lacks_some_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "bag", files=1)
    path = tmp_path / "bag/bag_0.mcap"
    data = bytearray(path.read_bytes())
    file = Bag(path).files[0]
    (chunk,) = file._summary.chunk_indexes
    for start in chunk.message_index_offsets.values():
        data[start + 11 : start + 15] = bytes(4)  # the length of its list
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"/text: the index of messages is damaged; expected 5"):
        Bag(path).log_times("/text")
