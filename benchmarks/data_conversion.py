"""How fast bags are converted, and what is left of a dataset that was converted there and back."""

import argparse
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from data_loader import FOLDER
from fuzz_sets import write_sets
from jobs import Job
from measure import ROOT, Target, robot_policy
from numpy.typing import NDArray

from robot_policy.core.files import read_json, write_json
from robot_policy.core.robot import load_robot
from robot_policy.data import ros_messages
from robot_policy.data.bag_writer import BagWriter
from robot_policy.data.formats.lerobot_layout import BOOKKEEPING
from robot_policy.data.formats.registry import detect_format
from robot_policy.data.formats.rosbag_layout import absolute
from robot_policy.data.frames import load_frames
from robot_policy.data.recording import Recording
from robot_policy.data.ros_messages import RosMessage

AGAIN = "python benchmarks/data.py --only conversion"
WANTED_GB_PER_MIN = 1.0
COLLECTED = FOLDER / "sets" / "few_episodes"
"""Two cameras; also for the peers."""
_BAG_BYTES = {"raw": 1_500_000_000, "jpeg": 600_000_000, "states": 150_000_000}
_EPISODE_S = 20
_SIZE = (480, 640)
_RATES_HZ = {"joints": 100, "camera": 30, "command": 20}
_ROBOT = "panda_twin"


@dataclass(frozen=True)
class Difference:
    """What two datasets differ in.

    Attributes:
        values: Numbers and texts, tasks, outcomes and metadata that differ.
        features: Whether the descriptions differ.
        pixels: Pixels that differ.
        mean_level: Mean absolute difference of all pixels [levels of 255].
    """

    values: int
    features: bool
    pixels: int
    mean_level: float


def difference(one: Path, two: Path) -> Difference:
    """Compares two datasets of any format, value by value."""
    readers = [detect_format(path).open(path) for path in (one, two)]
    first, second = (reader.description for reader in readers)
    same = (list(first.features), first.spec, first.metadata) == (
        list(second.features),
        second.spec,
        second.metadata,
    )
    values = abs(len(readers[0]) - len(readers[1]))
    pixels, levels, count = 0, 0.0, 0
    for position in range(min(map(len, readers))):
        a, b = (reader.recording(position) for reader in readers)
        values += _values(a, b)
        for key, frames in a.frames.items():
            here, there = (load_frames(f, where=key) for f in (frames, b.frames[key]))
            gap = np.abs(here.astype(np.int64) - there)
            pixels += int((gap > 0).sum())
            levels += float(gap.sum())
            count += gap.size
    return Difference(values, not same, pixels, round(levels / max(count, 1), 3))


def _values(a: Recording, b: Recording) -> int:
    told = (a.task, a.success, dict(a.metadata)) != (b.task, b.success, dict(b.metadata))
    # LeRobot's own bookkeeping is no feature: numbers and times that follow from the others.
    ours, theirs = a.columns.keys() - BOOKKEEPING.keys(), b.columns.keys() - BOOKKEEPING.keys()
    differing = int(told) + len(ours ^ theirs)
    for key in a.columns.keys() & b.columns.keys():
        here, there = a.columns[key], b.columns[key]
        if here.dtype != there.dtype or here.shape != there.shape:
            differing += here.size
        elif here.dtype == object:
            differing += int((here != there).sum())
        else:  # bit by bit, so that NaN equals itself and -0 does not equal 0
            size = here.dtype.itemsize
            bits = [np.ascontiguousarray(x).view(np.uint8).reshape(-1, size) for x in (here, there)]
            differing += int((bits[0] != bits[1]).any(axis=1).sum())
    return differing


def round_trips() -> list[dict[str, Any]]:
    """v3.0 to v2.1, HDF5 and bags and back; a collected dataset, and every kind of feature."""
    measured: list[dict[str, Any]] = []
    folder = Path(tempfile.mkdtemp())
    try:
        everything = write_sets(folder / "sources", peers=False)[0].path
        for source, path in (("collected", COLLECTED), ("every_kind_of_feature", everything)):
            for through in ("lerobot_v21", "robomimic_hdf5", "rosbag2_mcap"):
                there, back = (folder / f"{source}_{through}_{word}" for word in ("there", "back"))
                robot_policy("data", "convert", path, there, "--to", through)
                robot_policy("data", "convert", there, back, "--to", "lerobot_v3")
                row = {"cell": f"conversion/{source}/{through}"}
                for name, two in (("there", there), ("back", back)):
                    row[name] = vars(difference(path, two))
                if through == "lerobot_v21":
                    row["files_that_differ"] = _files_that_differ(path, back)
                measured.append(row)
                shutil.rmtree(back)
                shutil.rmtree(there) if there.is_dir() else there.unlink()
    finally:
        shutil.rmtree(folder)
    return measured


def _files_that_differ(one: Path, two: Path) -> int:
    def files(root: Path) -> dict[str, bytes]:
        return {
            str(file.relative_to(root)): file.read_bytes()
            for file in root.rglob("*")
            if file.is_file() and file.suffix != ".mp4"
        }

    a, b = files(one), files(two)
    return sum(a.get(name) != b.get(name) for name in a.keys() | b.keys())


def speed(kind: str) -> list[dict[str, Any]]:
    """Converts a bag of a robot with two cameras to v3.0, by the command, three times.

    Args:
        kind: One of `KINDS`.
    """
    content, images = KINDS[kind]
    folder = Path(tempfile.mkdtemp())
    try:
        bag = write_robot_bag(folder / "bag", content)
        megabytes = sum(f.stat().st_size for f in bag.rglob("*") if f.is_file()) / 1e6
        rates: list[float] = []
        peak_gb = 0.0
        for turn in range(3):
            target = folder / f"set_{turn}"
            done = robot_policy(
                "data", "convert", bag, target, "--to", "lerobot_v3", "--robot", _ROBOT,
                "--task", "a task", "--images", images, "--allow-loss",
                "--json", folder / "done.json",
            )  # fmt: skip
            rates.append(megabytes / 1e3 / done.seconds * 60)
            peak_gb = max(peak_gb, done.peak_gb)
            frames = read_json(folder / "done.json")["frames"]
            shutil.rmtree(target)
    finally:
        shutil.rmtree(folder)
    return [
        {
            "cell": f"conversion/speed/{kind}",
            "megabytes": round(megabytes),
            "steps": frames,
            "gb_per_min": [round(rate, 3) for rate in rates],
            "peak_gb": peak_gb,
        }
    ]


def write_robot_bag(folder: Path, kind: str) -> Path:
    """Writes what an arm with two cameras publishes, `_BAG_BYTES` of it.

    Args:
        folder: Bag.
        kind: Of the images, `raw` or `jpeg`, or `states`, where there are none.
    """
    robot = load_robot(_ROBOT)
    rng = np.random.default_rng(0)
    pictures = [picture(rng) for _ in range(24)]
    written, episode = 0, 0
    with BagWriter(folder) as bag:
        while written < _BAG_BYTES[kind]:
            start_ns = 1_700_000_000_000_000_000 + episode * (_EPISODE_S + 5) * 10**9
            for topic, message, stamp_ns in _episode(robot, kind, pictures, start_ns, rng):
                bag.write(absolute(topic), message, stamp_ns=stamp_ns)
                written += len(message.data)
            episode += 1
    return folder


def _episode(
    robot: Any,
    kind: str,
    pictures: list[NDArray[np.uint8]],
    start_ns: int,
    rng: np.random.Generator,
) -> Iterator[tuple[str, RosMessage, int]]:
    """Messages of one episode, in the order of their times."""
    cameras = list(robot.cameras)[:2] if kind != "states" else []
    due = [
        (start_ns + round(number * 1e9 / rate), number, what)
        for what, rate in _RATES_HZ.items()
        for number in range(_EPISODE_S * rate)
    ]
    names = (*robot.joint_names, robot.gripper.joint)
    for stamp_ns, number, what in sorted(due):
        if what == "joints":
            positions = np.append(rng.normal(size=len(robot.joint_names)), 0.02)
            quat = np.array([1.0, 0.0, 0.0, 0.0])
            pose = ros_messages.pose(
                rng.normal(size=3), quat, frame=robot.base_frame, stamp_ns=stamp_ns
            )
            yield robot.ee_pose_topic, pose, stamp_ns
            joints = ros_messages.joint_state(names, positions, stamp_ns=stamp_ns)
            yield robot.joint_states_topic, joints, stamp_ns
        elif what == "command":
            linear, angular = rng.uniform(-0.1, 0.1, (2, 3))
            twist = ros_messages.twist(
                linear, angular, frame=robot.base_frame, stamp_ns=stamp_ns + 10**6
            )
            yield robot.command.topic, twist, stamp_ns + 10**6
            finger = ros_messages.named_array(np.array([0.02]))
            yield robot.command.gripper_topic, finger, stamp_ns + 10**6
        for place, camera in enumerate(cameras if what == "camera" else ()):
            topic = robot.cameras[camera].image_topic
            chosen = (number + 7 * place) % len(pictures)
            if kind == "jpeg":
                # Never the same twice, or the bag's own compression would find it again.
                moved = np.roll(pictures[chosen], (number, 3 * number), axis=(0, 1))
                yield f"{topic}/compressed", _compressed(_jpeg(moved), stamp_ns), stamp_ns
            else:
                yield topic, ros_messages.image(pictures[chosen], stamp_ns=stamp_ns), stamp_ns


def picture(rng: np.random.Generator, size: tuple[int, int] = _SIZE) -> NDArray[np.uint8]:
    """A picture that compresses about as well as a camera's: shapes, shading, and its noise."""
    height, width = size
    y, x = np.mgrid[:height, :width]
    image = np.empty((height, width, 3), np.float64)
    for channel in range(3):
        a, b, phase = rng.uniform(0.2, 3, 3)
        image[..., channel] = 110 + 60 * np.sin(a * x / 60 + b * y / 45 + phase)
    for _ in range(30):
        top, left = rng.integers(0, height - 20), rng.integers(0, width - 20)
        bottom, right = top + rng.integers(8, height // 4), left + rng.integers(8, width // 4)
        image[top:bottom, left:right] += rng.uniform(-70, 70, 3)
    image += rng.normal(scale=2.5, size=image.shape)
    return image.clip(0, 255).astype(np.uint8)


def _jpeg(pixels: NDArray[np.uint8]) -> bytes:
    import cv2

    quality = [cv2.IMWRITE_JPEG_QUALITY, 90]
    return cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), quality)[1].tobytes()


def _compressed(data: bytes, stamp_ns: int) -> RosMessage:
    store = ros_messages.typestore()
    sec, nanosec = divmod(stamp_ns, 10**9)
    kind = "sensor_msgs/msg/CompressedImage"
    stamp = store.types["builtin_interfaces/msg/Time"](sec=sec, nanosec=nanosec)
    header = store.types["std_msgs/msg/Header"](stamp=stamp, frame_id="camera")
    message = store.types[kind](
        header=header, format="jpeg", data=np.frombuffer(data, dtype=np.uint8)
    )
    return RosMessage(kind, bytes(store.serialize_cdr(message, kind)))


KINDS = {
    "raw": ("raw", "video"),
    "jpeg": ("jpeg", "video"),
    "jpeg_embedded": ("jpeg", "lossless"),
    "states": ("states", "video"),
}
"""What is in the bag, and how the dataset stores images."""


def jobs() -> list[Job]:
    """Round trips, then speeds, each alone on the machine."""
    relative, done = COLLECTED.relative_to(ROOT), COLLECTED.with_suffix(".json")
    listed = [
        Job(
            "conversion-set",
            (
                *("collect", "lift", "--output", str(relative), "--episodes", "6"),
                *("--cameras", "agentview", "wrist", "--image-size", "84", "84"),
                *("--workers", "1", "--json", str(done.relative_to(ROOT))),
            ),
            done,
            resume=("--resume",),
            started=COLLECTED / "meta" / "info.json",
        ),
        Job(
            "conversion-round-trips",
            _script("round-trips"),
            _result("round-trips"),
            needs=("conversion-set",),
        ),
    ]
    for kind in KINDS:
        name = f"conversion-{kind}"
        listed.append(Job(name, _script(kind), _result(kind), alone=True))
    return listed


def _script(what: str) -> tuple[str, ...]:
    result = _result(what).relative_to(ROOT)
    return ("benchmarks/data_conversion.py", what, "--output", str(result))


def _result(what: str) -> Path:
    return FOLDER / "conversion" / f"{what}.json"


def rows() -> list[dict[str, Any]]:
    """What is measured so far."""
    found = (_result(what) for what in ("round-trips", *KINDS))
    return [row for path in found if path.exists() for row in read_json(path)]


def targets(known: dict[str, dict[str, Any]]) -> list[Target]:
    """Speed by kind of image, and values that a round trip changed."""
    made: list[Target] = []
    kinds = {
        "raw": "raw images to video",
        "jpeg": "JPEG images to video",
        "jpeg_embedded": "JPEG images embedded as they are (--images lossless)",
        "states": "no images",
    }
    for kind, what in kinds.items():
        row = known.get(f"conversion/speed/{kind}")
        rate = None if row is None else sorted(row["gb_per_min"])[1]
        made.append(
            Target(
                f"convert_mcap_{kind}",
                f"at least {WANTED_GB_PER_MIN:g} GB of MCAP a minute to v3.0 on two cores; two "
                f"cameras of 640 x 480, {what}",
                rate,
                "GB/min",
                rate is not None and rate >= WANTED_GB_PER_MIN,
                AGAIN,
            )
        )
    for through, what in (
        ("lerobot_v21", "v3.0 to v2.1 and back: bit-equal, videos too"),
        ("robomimic_hdf5", "v3.0 to HDF5 and back: bit-equal but for re-encoded video"),
        ("rosbag2_mcap", "v3.0 to MCAP and back: bit-equal but for re-encoded video"),
    ):
        mine = [row for cell, row in known.items() if cell.endswith(f"/{through}")]
        mine = [row for row in mine if row["cell"].startswith("conversion/")]
        differing = sum(_wrong(row) for row in mine)
        made.append(
            Target(
                f"round_trip_{through}",
                what,
                differing if mine else None,
                "differences",
                bool(mine) and differing == 0,
                AGAIN,
            )
        )
    return made


def _wrong(row: dict[str, Any]) -> int:
    """What must not differ: all but pixels of a video that was encoded again."""
    there, back = row["there"], row["back"]
    wrong = sum(d["values"] + d["features"] for d in (there, back)) + there["pixels"]
    if "files_that_differ" in row:  # the video is copied
        wrong += back["pixels"] + row["files_that_differ"]
    return wrong


def main() -> int:
    """Measures one part."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("round-trips", *KINDS))
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    what = arguments.what
    write_json(arguments.output, round_trips() if what == "round-trips" else speed(what))
    return 0


if __name__ == "__main__":
    sys.exit(main())
