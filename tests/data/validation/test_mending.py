"""A mended copy has nothing left of what could be mended, and not a value that was not there."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import yaml
from clean_recordings import BLIND, CAMERA, LENGTHS, changed, recordings, write
from lerobot_files import VERSIONS, Files, change_column

from robot_policy.core.errors import ConfigError, DataError
from robot_policy.data.formats.registry import FORMATS, detect_format
from robot_policy.data.formats.source_options import SourceOptions
from robot_policy.data.frames import load_frames
from robot_policy.data.recording import STAMP, Recording
from robot_policy.data.validation.mending import Mended, mend
from robot_policy.data.validation.validator import validate


def mended(path: Path, output: Path, *drop: str) -> Mended:
    return mend(validate(path), output, SourceOptions(), drop=drop)


def read(path: Path) -> list[Recording]:
    reader = detect_format(path).open(path)
    return [reader.recording(position) for position in range(len(reader))]


def content(path: Path) -> dict[str, bytes]:
    files = [path] if path.is_file() else [f for f in path.rglob("*") if f.is_file()]
    return {str(f.relative_to(path)): f.read_bytes() for f in files}


def break_numbers(files: Files) -> None:
    """Everything that follows from the data is wrong."""
    files.change_info(total_frames=700, total_episodes=4)
    files.change_row(0, length=9, tasks=["another"])
    files.change_column(1, "timestamp", lambda x: [0.0, *x[:-1]])
    files.change_column(1, "index", lambda x: [0] * len(x))
    files.change_column(2, "frame_index", lambda x: x[::-1])
    files.change_column(2, "action", lambda x: [[v * 0.5 for v in row] for row in x])


@pytest.mark.parametrize("name", VERSIONS)
def test_lerobot(name: str, tmp_path: Path) -> None:
    files = Files(write(tmp_path / "set", name))
    break_numbers(files)
    before, output = content(files.root), tmp_path / "mended"
    report = validate(files.root)
    assert set(report.counts) >= {
        "total-mismatch",
        "episode-length",
        "task-mismatch",
        "timestamp-not-increasing",
        "timestamp-off-grid",
        "index-mismatch",
        "statistics-mismatch",
    }
    result = mend(report, output, SourceOptions())
    assert (result.episodes, result.dropped, result.lines) == (3, (), ())
    assert content(files.root) == before
    assert validate(output).findings == []
    expected = changed(2, "action", lambda x: (x * 0.5).astype(np.float32))
    clean = read(write(tmp_path / "clean", name))
    for there, want, video in zip(read(output), expected, clean, strict=True):
        for key, values in want.columns.items():
            np.testing.assert_array_equal(there.columns[key], values, err_msg=key)
        assert (there.task, there.success) == (want.task, want.success)
        assert there.metadata == want.metadata
        images = [load_frames(r.frames[CAMERA], where="") for r in (there, video)]
        np.testing.assert_array_equal(*images)  # the video is copied


@pytest.mark.parametrize("name", VERSIONS)
def test_episodes_are_left_out_when_asked(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    guard = "robot_policy.data.formats.lerobot_writer.check_recording"
    with monkeypatch.context() as patch:
        patch.setattr(guard, lambda recording, description: None)
        given = changed(1, "observation.state", lambda x: np.where(x > 0.5, np.nan, x))
        given += [replace(given[0], index=3), replace(recordings()[1], index=4)]
        files = Files(write(tmp_path / "set", name, given=given))
    files.video(2).write_bytes(b"nothing")
    report = validate(files.root)
    assert set(report.counts) == {"not-finite", "duplicate-episode", "undecodable-frame"}
    for drop, why in (
        ((), "episode 1: cannot be carried"),
        (("not-finite", "duplicates"), "episode 2: cannot"),
    ):
        with pytest.raises(DataError, match=why):
            mend(report, tmp_path / "out", SourceOptions(), drop=drop)
        assert sorted(p.name for p in tmp_path.iterdir()) == ["set"]
    result = mended(files.root, tmp_path / "out", "not-finite", "duplicates", "undecodable")
    assert result.dropped == (1, 2, 3)
    assert [line.split(":")[0] for line in result.lines] == ["left out"] * 3
    assert validate(tmp_path / "out").findings == []
    assert [r.metadata["seed"] for r in read(tmp_path / "out")] == [0, 1]


def test_videos_that_cannot_be_copied_are_told(tmp_path: Path) -> None:
    files = Files(write(tmp_path / "set", "lerobot_v3"))
    change_column(
        sorted(files.root.glob("meta/episodes/*/*.parquet"))[0],
        f"videos/{CAMERA}/from_timestamp",
        lambda x: [0.1],
    )
    change_column_rows(files.data(0), 23)
    result = mended(files.root, tmp_path / "out")
    assert result.lines == (f"encoded again: episode 0, {CAMERA}",)
    assert len(read(tmp_path / "out")[0]) == 23


def change_column_rows(path: Path, count: int) -> None:
    import pyarrow.parquet as pq

    pq.write_table(pq.read_table(path).slice(0, count), path)


def test_real_capture_times_are_kept(tmp_path: Path) -> None:
    """Somebody put them where LeRobot has frame numbers over the rate."""
    features = {k: f for k, f in BLIND.features.items() if k != STAMP}
    writer = FORMATS["lerobot_v3"].create(tmp_path / "set", replace(BLIND, features=features))
    for one in recordings():
        columns = {k: x for k, x in one.columns.items() if k != STAMP}
        writer.add(replace(one, columns=columns, frames={}))
    writer.close()
    Files(tmp_path / "set").change_column(1, "timestamp", lambda x: [t * 1.02 + 3 for t in x])
    result = mended(tmp_path / "set", tmp_path / "out")
    assert result.lines == (f"timestamps as they were are kept in {STAMP}",)
    assert validate(tmp_path / "out").findings == []
    stamps = read(tmp_path / "out")[1].columns[STAMP][:, 0]
    np.testing.assert_allclose(stamps, 3e9 + np.arange(20) * 1.02e8, rtol=1e-6)


def test_a_task_that_nobody_knows_is_not_guessed(tmp_path: Path) -> None:
    files = Files(write(tmp_path / "set", "lerobot_v3", images=False))
    files.change_column(1, "task_index", lambda x: [5] * len(x))
    with pytest.raises(DataError, match="cannot be guessed"):
        mended(files.root, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_robomimic(tmp_path: Path) -> None:
    path, output = write(tmp_path / "set.hdf5", "robomimic_hdf5"), tmp_path / "out.hdf5"
    with h5py.File(path, "r+") as file:
        data: Any = file["data"]
        data.attrs["total"] = 5
        data["demo_1"].attrs["num_samples"] = 3
        file["mask/train"] = np.array([b"demo_2", b"demo_9", b"demo_2"])
    before = path.read_bytes()
    mended(path, output)
    assert path.read_bytes() == before
    assert validate(output).findings == []
    assert [len(r) for r in read(output)] == list(LENGTHS)
    with h5py.File(output) as file:
        assert file["mask/train"][()].tolist() == [b"demo_2"]  # pyright: ignore


def test_demonstrations_are_left_out_when_asked(tmp_path: Path) -> None:
    given = [*recordings(), replace(recordings()[0], index=3)]
    path = write(tmp_path / "set.hdf5", "robomimic_hdf5", given=given)
    assert mended(path, tmp_path / "out.hdf5", "duplicates").dropped == (3,)
    assert validate(tmp_path / "out.hdf5").findings == []
    assert len(read(tmp_path / "out.hdf5")) == 3
    assert (
        FORMATS["robomimic_hdf5"]
        .append(tmp_path / "out.hdf5", detect_format(path).open(path).description)
        .episodes
        == 3
    )


def test_theirs_keep_their_names(tmp_path: Path) -> None:
    path, output = tmp_path / "theirs.hdf5", tmp_path / "out.hdf5"
    with h5py.File(path, "w") as file:
        file.create_group("data").attrs["total"] = 30
        for number in (3, 5, 8):
            demo = file.create_group(f"data/demo_{number}")
            demo.attrs["num_samples"] = 10
            demo["actions"] = np.linspace(0, 1 if number < 8 else 0.5, 20).reshape(10, 2)
            demo["obs/robot0_eef_pos"] = np.zeros((10, 3))
        file["mask/train"] = np.array([b"demo_3", b"demo_5"])
    result = mended(path, output, "duplicates")
    assert result.dropped == (1,)
    with h5py.File(output) as file:
        assert sorted(file["data"]) == ["demo_3", "demo_8"]  # pyright: ignore
        assert file["data"].attrs["total"] == 20
        assert file["mask/train"][()].tolist() == [b"demo_3"]  # pyright: ignore
    assert not validate(output).has_errors


def test_bags(tmp_path: Path) -> None:
    given = [*recordings(), replace(recordings()[0], index=3)]
    path = write(tmp_path / "bag", "rosbag2_mcap", images=False, given=given)
    metadata = path / "metadata.yaml"
    data = yaml.safe_load(metadata.read_text())
    about = data["rosbag2_bagfile_information"]
    for topic in about["topics_with_message_count"]:
        topic["message_count"] += 1
    metadata.write_text(yaml.safe_dump(data))
    assert "message-count" in validate(path).counts
    mended(path, tmp_path / "out")
    assert set(validate(tmp_path / "out").counts) == {"duplicate-episode"}
    result = mended(path, tmp_path / "shorter", "duplicates")
    assert (result.episodes, result.dropped) == (3, (3,))
    assert validate(tmp_path / "shorter").findings == []


def test_what_is_no_copy_of_anything(tmp_path: Path) -> None:
    from robot_policy.data.curation.view import View

    path = write(tmp_path / "set", "lerobot_v3", images=False)
    View.of_dataset(path, 3).save(tmp_path / "view.json")
    with pytest.raises(ConfigError, match="no files of its own"):
        mended(tmp_path / "view.json", tmp_path / "out")
    info = json.loads((path / "meta/info.json").read_text())
    info["features"]["odd"] = {"dtype": "language", "shape": [1], "names": None}
    (path / "meta/info.json").write_text(json.dumps(info))
    with pytest.raises(ConfigError, match=r"would lack what is not read: odd"):
        mended(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()
