"""What is wrong with counts and files of robomimic files and bags."""

import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import yaml
from clean_recordings import CAMERA, changed, write

from robot_policy.core.errors import ConfigError, DataError
from robot_policy.data.formats.source_options import SourceOptions
from robot_policy.data.validation.report import Report
from robot_policy.data.validation.validator import validate


def found(report: Report) -> set[tuple[Any, ...]]:
    return {(f.fault.code, f.place.file, f.place.episode, f.place.feature) for f in report.findings}


@pytest.fixture
def hdf5(tmp_path: Path) -> Path:
    return write(tmp_path / "set.hdf5", "robomimic_hdf5")


@pytest.fixture
def bag(tmp_path: Path) -> Path:
    return write(tmp_path / "bag", "rosbag2_mcap")


def test_counts_of_a_robomimic_file(hdf5: Path) -> None:
    with h5py.File(hdf5, "r+") as file:
        data: Any = file["data"]
        data.attrs["total"] = 70
        data["demo_1"].attrs["num_samples"] = 19
    assert found(validate(hdf5)) == {
        ("total-mismatch", "data", None, "total"),
        ("episode-length", "demo_1", 1, "num_samples"),
    }


def test_parts_of_different_length(hdf5: Path) -> None:
    with h5py.File(hdf5, "r+") as file:
        demo: Any = file["data/demo_2"]
        state = demo["obs/state"][:-1]
        del demo["obs/state"]
        demo["obs/state"] = state
    report = validate(hdf5)
    assert found(report) == {("ragged-episode", "demo_2", 2, None)}
    assert "obs/state 29" in report.findings[0].found
    assert report.episodes == 2


def test_masks(hdf5: Path) -> None:
    with h5py.File(hdf5, "r+") as file:
        file["mask/train"] = np.array([b"demo_0", b"demo_7"])
        file["mask/valid"] = np.array([b"demo_1", b"demo_1"])
    assert found(validate(hdf5)) == {
        ("mask-mismatch", "mask/train", None, None),
        ("mask-mismatch", "mask/valid", None, None),
    }


def test_actions_that_robomimic_cannot_follow(tmp_path: Path) -> None:
    path = tmp_path / "theirs.hdf5"
    with h5py.File(path, "w") as file:
        file.create_group("data").attrs["total"] = 6
        demo = file.create_group("data/demo_0")
        demo.attrs["num_samples"] = 6
        demo["actions"] = np.linspace(0, 2, 18).reshape(6, 3)
        demo["obs/robot0_eef_pos"] = np.linspace(0, 1, 18).reshape(6, 3)
    report = validate(path)
    (finding,) = report.of("action-not-normalised")
    assert finding.place.frames == (3, 5)
    assert finding.found == "up to 2"
    assert not report.has_errors


def test_images_of_a_robomimic_file(hdf5: Path) -> None:
    with h5py.File(hdf5, "r") as file:
        data: Any = file["data/demo_1/obs/front_image"]
        place = data.id.get_chunk_info(6)
    with hdf5.open("r+b") as stream:
        stream.seek(place.byte_offset + 10)
        stream.write(b"xyz")
    report = validate(hdf5)
    assert found(report) == {("undecodable-frame", None, 1, CAMERA)}


def test_counts_of_a_bag(bag: Path) -> None:
    path = bag / "metadata.yaml"
    data = yaml.safe_load(path.read_text())
    topic = data["rosbag2_bagfile_information"]["topics_with_message_count"][0]
    topic["message_count"] += 3
    path.write_text(yaml.safe_dump(data))
    name = topic["topic_metadata"]["name"]
    assert found(validate(bag)) == {("message-count", "metadata.yaml", None, name)}


def test_files_of_a_bag(bag: Path) -> None:
    shutil.copy(bag / "episode_000001.mcap", bag / "other.mcap")
    assert found(validate(bag)) == {("unreferenced-file", "other.mcap", None, None)}
    (bag / "other.mcap").unlink()
    (bag / "episode_000001.mcap").unlink()
    assert found(validate(bag)) == {("missing-file", "episode_000001.mcap", None, "metadata.yaml")}


def test_a_damaged_file_of_a_bag(bag: Path) -> None:
    path = bag / "episode_000002.mcap"
    data = bytearray(path.read_bytes())
    data[400] ^= 4
    path.write_bytes(data)
    report = validate(bag)
    assert found(report) == {("episode-unreadable", None, 2, None)}
    assert "episode_000002.mcap" in report.findings[0].found


def test_a_bag_of_a_robot_needs_its_name(tmp_path: Path, bag: Path) -> None:
    with pytest.raises(DataError, match=r"no topic"):
        raise_findings(validate(bag, SourceOptions(robot="panda_twin")))
    metadata = bag / "metadata.yaml"
    data = yaml.safe_load(metadata.read_text())
    data["rosbag2_bagfile_information"]["custom_data"] = None
    metadata.write_text(yaml.safe_dump(data))
    with pytest.raises(ConfigError, match="name the --robot"):
        validate(bag)


def raise_findings(report: Report) -> None:
    """A bag whose topics are not those of the robot is a finding, not bad input."""
    assert found(report) == {("dataset-unreadable", None, None, None)}
    raise DataError(report.findings[0].found)


def test_the_robot_tells_the_limits(tmp_path: Path) -> None:
    """Where the dataset does not: limits come from the description of the robot."""
    from robot_policy.core.robot import load_robot

    size = load_robot("panda_twin").action_spec.size
    path = tmp_path / "theirs.hdf5"
    rng = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        file.create_group("data").attrs["total"] = 8
        demo = file.create_group("data/demo_0")
        demo.attrs["num_samples"] = 8
        demo["actions"] = rng.uniform(-0.9, 0.9, (8, size))
        demo["obs/robot0_eef_pos"] = rng.normal(size=(8, 3))
    assert "action-outside-limits" not in validate(path).counts
    report = validate(path, SourceOptions(robot="panda_twin"))
    assert "action-outside-limits" in report.counts


def test_a_view_is_checked_like_its_episodes(tmp_path: Path) -> None:
    from robot_policy.data.curation.view import View

    path = write(
        tmp_path / "set",
        "lerobot_v3",
        images=False,
        given=changed(2, "action", lambda x: np.where(x > 0.3, 1.4, x).astype(np.float32)),
    )
    View.of_dataset(path, 3).select([1, 2]).save(tmp_path / "view.json")
    report = validate(tmp_path / "view.json")
    assert set(report.counts) >= {"action-outside-limits"}
    assert {f.place.episode for f in report.of("action-outside-limits")} == {1}
