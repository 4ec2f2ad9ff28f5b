"""Bags of a robot, written by another library, become the dataset that the recorder would write."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from rosbags.rosbag2 import StoragePlugin, Writer

from robot_policy.cli.main import main
from robot_policy.core.command_values import action_from_values
from robot_policy.core.episode import Success
from robot_policy.core.errors import ConfigError, DataError
from robot_policy.core.geometry import matrix_from_rotvec, quat_from_matrix
from robot_policy.core.robot import RobotDescription, load_robot
from robot_policy.core.specs import image_spec
from robot_policy.data import ros_messages
from robot_policy.data.formats.registry import FORMATS, detect_format
from robot_policy.data.formats.source_options import SourceOptions
from robot_policy.data.frames import load_frames, with_files
from robot_policy.data.recording import Description, Feature
from robot_policy.data.ros_messages import RosMessage
from robot_policy.data.rosbag import bag_file_writer
from robot_policy.data.rosbag.bag import Bag
from robot_policy_ros.command_log import CommandLog
from robot_policy_ros.episode_capture import EpisodeCapture
from robot_policy_ros.inputs import EE_POSE, JOINT_STATES, Inputs, Joints, Pose

FORMAT = FORMATS["rosbag2_mcap"]
ROBOT = load_robot("panda_twin")
TWIN = SourceOptions(robot="panda_twin")
MS = 1_000_000
START = 1_700_000_000_000 * MS
JOINTS = (*ROBOT.joint_names, ROBOT.gripper.joint)

type Event = tuple[int, str, RosMessage]
"""When it arrives [ns], topic, message."""


def write(folder: Path, events: list[Event], custom: dict[str, str] | None = None) -> Path:
    writer = Writer(folder, version=9, storage_plugin=StoragePlugin.MCAP)
    for key, text in (custom or {}).items():
        writer.set_custom_data(key, text)
    store = ros_messages.typestore()
    connections: dict[str, Any] = {}
    with writer:
        for at, topic, message in sorted(events, key=lambda event: event[0]):
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, message.type, typestore=store)
            writer.write(connections[topic], at, message.data)
    return folder


def picture(number: int) -> np.ndarray:
    return np.full((4, 6, 3), number % 251, np.uint8)


def raw(number: int, stamp_ns: int) -> RosMessage:
    return ros_messages.image(picture(number), stamp_ns=stamp_ns)


def drive(
    *,
    start_ns: int = START,
    periods: int = 20,
    seed: int = 0,
    camera: Callable[[int, int], RosMessage] = raw,
    camera_topic: str = "/wrist/image_raw",
) -> list[Event]:
    """An arm at 100 Hz, a camera at 30 Hz and commands at 20 Hz, jittering and late."""
    rng = np.random.default_rng(seed)
    events: list[Event] = []
    for number in range(periods * 5):
        stamp = start_ns + number * 10 * MS + int(rng.integers(-MS, MS))
        positions = rng.normal(size=8)
        positions[-1] = 0.04 * rng.random()
        quat = quat_from_matrix(matrix_from_rotvec(rng.normal(size=3)))
        pose = ros_messages.pose(rng.normal(size=3), quat, frame="panda_link0", stamp_ns=stamp)
        joints = ros_messages.joint_state(JOINTS[::-1], positions[::-1], stamp_ns=stamp)
        events.append((stamp + 2 * MS, "/ee_pose", pose))
        events.append((stamp + 3 * MS, "/joint_states", joints))
    for number in range(-2, periods * 50 * 30 // 1000):
        stamp = start_ns + number * 33 * MS
        events.append((stamp + MS, camera_topic, camera(number + 2, stamp)))
    for number in range(periods):
        stamp = start_ns + number * 50 * MS + 7 * MS + int(rng.integers(-MS, MS))
        linear, angular = rng.uniform(-1, 1, (2, 3))
        twist = ros_messages.twist(linear, angular, frame="panda_link0", stamp_ns=stamp)
        events.append((stamp + MS, "/servo/delta_twist_cmds", twist))
        if number % 4 == 1:
            finger = ros_messages.named_array(np.array([0.04 * rng.random()]))
            events.append((stamp + MS, "/gripper_controller/commands", finger))
    return events


def test_a_bag_becomes_what_the_recorder_writes(tmp_path: Path) -> None:
    """The same messages, once in the order of their arrival and once from the bag."""
    events = drive()
    live = recorded(ROBOT, events)
    (ours,) = recordings(write(tmp_path / "bag", events))
    np.testing.assert_array_equal(ours.columns["observation.stamp_ns"][:, 0], live.stamps_ns)
    np.testing.assert_array_equal(ours.columns["observation.state"], live.state)
    np.testing.assert_array_equal(ours.columns["action"], live.actions)
    images = load_frames(ours.frames["observation.images.wrist"], where="test")
    np.testing.assert_array_equal(images, live.images["wrist"])
    assert len(ours) == 21
    assert ours.metadata["bag"]["missed_steps"] == 0


def recorded(robot: RobotDescription, events: list[Event]) -> Any:
    """What the parts of the recorder node make of messages; they know no ROS."""
    spec = replace(robot.spec(), cameras={"wrist": image_spec(4, 6)})
    inputs = Inputs(robot, spec, max_age_ns=300 * MS, instruction="")
    commands = CommandLog(robot)
    capture = EpisodeCapture(robot, spec, inputs=inputs, commands=commands)
    capture.start("")
    now = 0
    for now, topic, message in sorted(events, key=lambda event: event[0]):
        decoded = ros_messages.decode(message)
        if topic == "/gripper_controller/commands":
            fraction = robot.gripper.fraction_from_position(float(decoded.data[0]))
            commands.put_gripper(fraction, stamp_ns=now)
            continue
        stamp = decoded.header.stamp.sec * 10**9 + decoded.header.stamp.nanosec
        if topic == "/joint_states":
            values = dict(zip(decoded.name, decoded.position, strict=True))
            joints = Joints(np.array([values[n] for n in robot.joint_names]), values[JOINTS[-1]])
            inputs.put(JOINT_STATES, joints, stamp_ns=stamp)
            capture.observe(now)
        elif topic == "/ee_pose":
            from robot_policy.core.geometry import matrix_from_quat

            p, q = decoded.pose.position, decoded.pose.orientation
            R = matrix_from_quat(np.array([q.w, q.x, q.y, q.z]))
            inputs.put(EE_POSE, Pose(np.array([p.x, p.y, p.z]), R), stamp_ns=stamp)
        elif topic == "/wrist/image_raw":
            inputs.put("wrist", decoded.data.reshape(4, 6, 3), stamp_ns=stamp)
        else:
            v, w = decoded.twist.linear, decoded.twist.angular
            velocity = np.array([v.x, v.y, v.z, w.x, w.y, w.z])
            commands.put_motion(velocity * robot.dt_s, stamp_ns=stamp)
    return capture.finish(Success.UNKNOWN, now_ns=now)


def recordings(path: Path, options: SourceOptions = TWIN) -> list[Any]:
    reader = FORMAT.open(path, options)
    return [reader.recording(position) for position in range(len(reader))]


OTHERS = ("panda_twin_pose", "panda_twin_joint", "panda_twin_forward", "panda_twin_chunk")


@pytest.mark.parametrize("name", OTHERS)
def test_every_form_of_command(tmp_path: Path, name: str) -> None:
    """What a dataset's bag plays is read back as its actions, as the robot's node reads it."""
    interfaces = pytest.importorskip("robot_policy_ros.interfaces.registry")
    robot = load_robot(name)
    (seen,) = recordings(write(tmp_path / "seen", drive()))
    rng = np.random.default_rng(0)
    low, high = np.array(robot.action_spec.low), np.array(robot.action_spec.high)
    low, high = np.maximum(low, -3), np.minimum(high, 3)
    actions = rng.uniform(low, high, (len(seen), len(low))).astype(np.float32)
    if robot.command.action_space == "ee_pose":
        actions[:, 3:6] *= 0.5  # by the shortest rotation vector
    spec = replace(robot.spec(), cameras={"wrist": image_spec(4, 6)})
    features = FORMAT.open(tmp_path / "seen", TWIN).description.features
    features = {**features, "action": Feature("float32", actions.shape[1:], spec.action.names)}
    description = Description(name, robot.rate_hz, features, spec=spec)
    writer = FORMAT.create(tmp_path / "set", description)
    writer.add(replace(seen, columns={**seen.columns, "action": actions}))
    writer.close()
    (read,) = recordings(tmp_path / "set", SourceOptions(robot=name))
    np.testing.assert_allclose(read.columns["action"], actions, atol=2e-6)
    arm = interfaces.INTERFACES[robot.command.interface](robot)
    bag = Bag(tmp_path / "set")
    raw = [m for m in bag.messages([f"/{robot.command.topic}"])]
    for message, action, state in zip(raw, actions, seen.columns["observation.state"], strict=True):
        received = arm.read(bag.decode(message), start=robot.joint_positions(state))
        values = received.values[0][: robot.action_spec.size - 1]
        theirs = action_from_values(robot, values, state)
        np.testing.assert_allclose(theirs, action[:-1], atol=2e-6)


def test_the_description_is_the_robots(tmp_path: Path) -> None:
    path = write(tmp_path / "bag", [*drive(), (START, "/rosout_like", ros_messages.text("hello"))])
    assert detect_format(path) is FORMAT
    with pytest.raises(ConfigError, match="name the --robot"):
        FORMAT.open(path)
    reader = FORMAT.open(path, TWIN)
    spec = reader.description.spec
    assert spec is not None
    assert spec.cameras == {"wrist": image_spec(4, 6)}
    assert spec.action == ROBOT.action_spec
    assert reader.left_out == ["/rosout_like: 1 messages"]


COMPRESSED = {
    "png": (".png", "rgb8; png compressed bgr8", 0),
    "jpeg": (".jpg", "rgb8; jpeg compressed bgr8", 3),
}


@pytest.mark.parametrize(("suffix", "form", "tolerance"), COMPRESSED.values(), ids=COMPRESSED)
def test_compressed_images(tmp_path: Path, suffix: str, form: str, tolerance: int) -> None:
    def compressed(number: int, stamp_ns: int) -> RosMessage:
        data = cv2.imencode(suffix, picture(number)[..., ::-1])[1].reshape(-1)
        return compressed_message(data, form, stamp_ns)

    events = drive(camera=compressed, camera_topic="/wrist/image_raw/compressed")
    (ours,) = recordings(write(tmp_path / "bag", events))
    (expected,) = recordings(write(tmp_path / "raw", drive()))
    images = [load_frames(r.frames["observation.images.wrist"], where="") for r in (ours, expected)]
    difference = np.abs(images[0].astype(int) - images[1])
    assert difference.max() <= tolerance


@pytest.mark.parametrize("target", ["lerobot_v3", "lerobot_v21"])
def test_a_jpeg_that_every_reader_sees_alike_is_embedded_as_it_is(
    tmp_path: Path, target: str
) -> None:
    """Others are coded as PNG; whatever they become, and through another dataset, pixels stay."""

    def compressed(number: int, stamp_ns: int) -> RosMessage:
        rng = np.random.default_rng(number)
        image = cv2.resize(rng.integers(0, 256, (4, 5, 3), np.uint8), (48, 32))
        if number % 5 == 4:
            image = image[..., 0]  # grey
        return compressed_message(cv2.imencode(".jpg", image)[1].reshape(-1), "jpeg", stamp_ns)

    events = drive(camera=compressed, camera_topic="/wrist/image_raw/compressed")
    bag = write(tmp_path / "bag", events)
    (source,) = recordings(bag)
    key, words = "observation.images.wrist", ["--robot", "panda_twin", "--task", "reach"]
    sets = [tmp_path / "first", tmp_path / "second"]
    lossless = ["--images", "lossless"]
    assert main(["data", "convert", str(bag), str(sets[0]), "--to", target, *lossless, *words]) == 0
    assert main(["data", "convert", str(sets[0]), str(sets[1]), "--to", "lerobot_v3"]) == 0
    expected = list(with_files(source.frames[key]))
    assert {file is None for _, file in expected} == {True, False}
    for path in sets:
        frames = detect_format(path).open(path).recording(0).frames[key]
        found = list(with_files(frames))
        for (pixels, file), (kept, copied) in zip(expected, found, strict=True):
            np.testing.assert_array_equal(kept, pixels)
            assert copied is not None
            assert copied == file if file else copied.startswith(b"\x89PNG")


def compressed_message(data: np.ndarray, form: str, stamp_ns: int) -> RosMessage:
    store = ros_messages.typestore()
    kind = "sensor_msgs/msg/CompressedImage"
    header = store.types["std_msgs/msg/Header"](
        stamp=store.types["builtin_interfaces/msg/Time"](
            sec=stamp_ns // 10**9, nanosec=stamp_ns % 10**9
        ),
        frame_id="",
    )
    message = store.types[kind](header=header, format=form, data=data)
    return RosMessage(kind, bytes(store.serialize_cdr(message, kind)))


@pytest.mark.parametrize("compressed", [False, True])
def test_depth_is_kept_in_sixteen_bits(tmp_path: Path, compressed: bool) -> None:
    def depth(number: int, stamp_ns: int) -> RosMessage:
        pixels = np.full((4, 6, 1), 300 * number, np.uint16)
        if not compressed:
            return ros_messages.depth_image(pixels, stamp_ns=stamp_ns)
        data = np.append(np.zeros(12, np.uint8), cv2.imencode(".png", pixels)[1].reshape(-1))
        return compressed_message(data, "16UC1; compressedDepth png", stamp_ns)

    topic = "/wrist/image_raw/compressed" if compressed else "/wrist/image_raw"
    path = write(tmp_path / "bag", drive(camera=depth, camera_topic=topic))
    reader = FORMAT.open(path, TWIN)
    feature = reader.description.features["observation.images.wrist"]
    assert (feature.dtype, feature.shape, feature.lossless) == ("uint16", (4, 6, 1), True)
    assert feature.info == {"depth_unit": "mm"}
    frames = load_frames(reader.recording(0).frames["observation.images.wrist"], where="test")
    assert frames.dtype == np.uint16
    assert set(np.unique(frames) % 300) == {0}
    assert frames.max() > 5000


def encoded(encoding: str, pixels: np.ndarray, *, step: int, big: bool = False) -> RosMessage:
    store = ros_messages.typestore()
    base = ros_messages.decode(ros_messages.image(picture(0), stamp_ns=START))
    rows = pixels.reshape(pixels.shape[0], -1).view(np.uint8)
    padded = np.zeros((len(rows), step), np.uint8)
    padded[:, : rows.shape[1]] = rows
    message = replace(
        base,
        encoding=encoding,
        height=pixels.shape[0],
        width=pixels.shape[1],
        step=step,
        is_bigendian=int(big),
        data=padded.reshape(-1),
    )
    return RosMessage(
        "sensor_msgs/msg/Image", bytes(store.serialize_cdr(message, "sensor_msgs/msg/Image"))
    )


def encodings() -> Iterator[tuple[str, RosMessage, np.ndarray]]:
    rgb = np.random.default_rng(0).integers(0, 256, (3, 5, 3), dtype=np.uint8)
    depth = np.random.default_rng(1).integers(0, 2**16, (3, 5, 1), dtype=np.uint16)
    alpha = np.concatenate([rgb, rgb[..., :1]], axis=2)
    grey = np.repeat(rgb[..., :1], 3, axis=2)
    yield "rgb8", encoded("rgb8", rgb, step=15), rgb
    yield "rows with padding", encoded("rgb8", rgb, step=32), rgb
    yield "bgr8", encoded("bgr8", np.ascontiguousarray(rgb[..., ::-1]), step=15), rgb
    yield "rgba8", encoded("rgba8", alpha, step=20), rgb
    yield "mono8", encoded("mono8", np.ascontiguousarray(rgb[..., :1]), step=5), grey
    yield "16UC1", encoded("16UC1", depth, step=12), depth
    yield "mono16, big endian", encoded("mono16", depth.byteswap(), step=10, big=True), depth


@pytest.mark.parametrize(("_", "message", "expected"), encodings())
def test_raw_images(_: str, message: RosMessage, expected: np.ndarray) -> None:
    from robot_policy.data.formats.rosbag_images import pixels_of

    pixels = pixels_of(ros_messages.decode(message), where="test")
    assert pixels.dtype == expected.dtype
    np.testing.assert_array_equal(pixels, expected)


def test_images_that_cannot_be_right_are_refused() -> None:
    from robot_policy.data.formats.rosbag_images import pixels_of

    image = ros_messages.decode(encoded("rgb8", np.zeros((3, 5, 3), np.uint8), step=15))
    for wrong, message in (
        (replace(image, height=4), "too few bytes"),
        (replace(image, step=14), "too few bytes"),
        (replace(image, width=0), "too few bytes"),
        (replace(image, encoding="yuv422"), "'yuv422' are not read; valid: rgb8"),
    ):
        with pytest.raises(DataError, match=message):
            pixels_of(wrong, where="test")


def test_episodes_are_cut_by_silence(tmp_path: Path) -> None:
    events = drive() + drive(start_ns=START + 10_000 * MS, periods=10, seed=1)
    path = write(tmp_path / "bag", events)
    assert [len(r) for r in recordings(path)] == [21, 11]
    assert [len(r) for r in recordings(path, replace(TWIN, gap_s=20.0))] == [32]
    (expected,) = recordings(write(tmp_path / "second", events[len(drive()) :]))
    second = recordings(path)[1]
    for key, values in expected.columns.items():
        np.testing.assert_array_equal(second.columns[key], values)


def test_episodes_are_cut_by_a_topic(tmp_path: Path) -> None:
    marks = [(200, "pick"), (500, ""), (600, "place"), (800, "again")]
    events = [
        *drive(),
        *((START + at * MS, "/episode", ros_messages.text(text)) for at, text in marks),
    ]
    path = write(tmp_path / "bag", events)
    found = recordings(path, replace(TWIN, episode_topic="episode"))
    assert [r.task for r in found] == ["pick", "place", "again"]
    spans = [(200, 500), (600, 800), (800, 1000)]
    for recording, (begin, end) in zip(found, spans, strict=True):
        stamps = (recording.columns["observation.stamp_ns"][:, 0] - START) / MS
        assert begin <= stamps[0] < begin + 50
        assert end - 60 < stamps[-1] <= end
    with pytest.raises(DataError, match=r"no topic 'begin'; valid: .*/episode"):
        recordings(path, replace(TWIN, episode_topic="begin"))


def test_what_is_not_there_in_time_is_left_out_and_counted(tmp_path: Path) -> None:
    """The camera stops for half a second: pictures older than the limit make no observation."""

    def stalled(event: Event) -> bool:
        return event[1] == "/wrist/image_raw" and 200 * MS < event[0] - START < 700 * MS

    events = [event for event in drive() if not stalled(event)]
    path = write(tmp_path / "bag", events)
    (recording,) = recordings(path)
    stamps = (recording.columns["observation.stamp_ns"][:, 0] - START) / MS
    gap = int(np.argmax(np.diff(stamps)))
    assert 490 < stamps[gap] < 510
    assert 720 < stamps[gap + 1] < 740
    assert recording.metadata["bag"]["missed_steps"] == 4
    (patient,) = recordings(path, replace(TWIN, freshness_s=1.0))
    assert len(patient) == 21
    without = [event for event in events if event[0] - START < -40 * MS or "wrist" not in event[1]]
    path = write(tmp_path / "blind", without)
    with pytest.raises(DataError, match=r"observation\.images\.wrist is never there in time"):
        recordings(path, replace(TWIN, freshness_s=0.01))


def test_a_robot_in_a_namespace(tmp_path: Path) -> None:
    events = [(at, f"/left{topic}", message) for at, topic, message in drive()]
    (expected,) = recordings(write(tmp_path / "plain", drive()))
    path = write(tmp_path / "bag", events)
    (found,) = recordings(path)
    np.testing.assert_array_equal(
        found.columns["observation.state"], expected.columns["observation.state"]
    )
    both = [(at, f"/right{topic}", message) for at, topic, message in drive()]
    path = write(tmp_path / "both", events + both)
    with pytest.raises(DataError, match=r"several topics 'joint_states'; got /left"):
        recordings(path)


def test_a_folder_of_bags_as_the_recorder_leaves_it(tmp_path: Path) -> None:
    notes = {"episode": "0", "success": "yes", "task": "lift", "dropped_messages": "2"}
    write(tmp_path / "bags/episode-000000", drive(), notes)
    write(tmp_path / "bags/episode-000001", drive(periods=8, seed=1), notes | {"success": "no"})
    assert detect_format(tmp_path / "bags") is FORMAT
    found = recordings(tmp_path / "bags")
    assert [len(r) for r in found] == [21, 9]
    assert [r.success for r in found] == [Success.YES, Success.NO]
    assert [r.task for r in found] == ["lift", "lift"]
    assert found[0].metadata["bag"]["dropped_messages"] == "2"


def test_a_bag_that_was_cut_off_is_read_as_far_as_it_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bag_file_writer, "_CHUNK_BYTES", 20_000)
    path = tmp_path / "bag"
    path.mkdir()
    with bag_file_writer.BagFileWriter(path / "bag.mcap") as writer:
        for at, topic, message in sorted(drive(periods=200), key=lambda event: event[0]):
            writer.write(topic, message, stamp_ns=at)
    data = (path / "bag.mcap").read_bytes()
    (path / "bag.mcap").write_bytes(data[: len(data) * 3 // 4])
    with pytest.raises(DataError, match="--recover"):
        recordings(path)
    (recording,) = recordings(path, replace(TWIN, recover=True))
    assert 100 < len(recording) < 200
    images = load_frames(recording.frames["observation.images.wrist"], where="test")
    assert len(images) == len(recording)


def test_messages_of_another_robot_are_refused(tmp_path: Path) -> None:
    stamp = START + 100 * MS
    wrong = {
        "joints": (
            "/joint_states",
            ros_messages.joint_state(["a", "b"], np.zeros(2), stamp_ns=stamp),
            "not the joints of the robot",
        ),
        "frame": (
            "/servo/delta_twist_cmds",
            ros_messages.twist(np.zeros(3), np.zeros(3), frame="world", stamp_ns=stamp),
            "another frame; expected panda_link0; got world",
        ),
        "rotation": (
            "/ee_pose",
            ros_messages.pose(np.zeros(3), np.zeros(4), frame="panda_link0", stamp_ns=stamp),
            "not a unit quaternion",
        ),
        "command": (
            "/servo/delta_twist_cmds",
            ros_messages.twist(
                np.full(3, np.nan), np.zeros(3), frame="panda_link0", stamp_ns=stamp
            ),
            "not a command of this robot, or not finite",
        ),
    }
    for name, (topic, message, expected) in wrong.items():
        path = write(tmp_path / name, [*drive(), (stamp, topic, message)])
        with pytest.raises(DataError, match=expected):
            recordings(path)
        shutil.rmtree(path)


def test_what_we_write_plays_to_a_robot(tmp_path: Path) -> None:
    """A dataset as a bag, read back as if a robot had recorded it."""
    (original,) = recordings(write(tmp_path / "robot", drive()))
    reader = FORMAT.open(tmp_path / "robot", TWIN)
    writer = FORMAT.create(tmp_path / "set", reader.description)
    writer.add(original)
    writer.add(original)
    writer.close()
    exact = FORMAT.open(tmp_path / "set")
    played = FORMAT.open(tmp_path / "set", TWIN)
    assert len(exact) == len(played) == 2
    for position in range(2):
        same, close = exact.recording(position), played.recording(position)
        np.testing.assert_array_equal(
            same.columns["observation.stamp_ns"], original.columns["observation.stamp_ns"]
        )
        for key in ("observation.state", "action"):
            np.testing.assert_array_equal(same.columns[key], original.columns[key])
            np.testing.assert_allclose(close.columns[key], original.columns[key], atol=1e-6)
        images = [
            load_frames(r.frames["observation.images.wrist"], where="") for r in (same, close)
        ]
        np.testing.assert_array_equal(*images)
    with Path(tmp_path / "set/metadata.yaml").open() as stream:
        assert "/servo/delta_twist_cmds" in stream.read()
