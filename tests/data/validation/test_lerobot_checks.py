"""What is wrong with the files and numbers of LeRobot datasets, of both versions."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from clean_recordings import CAMERA, RATE_HZ, write
from lerobot_files import VERSIONS, Files, change_column

from robot_policy.data.formats.source_options import SourceOptions
from robot_policy.data.formats.video import write_video
from robot_policy.data.validation.mending import mend
from robot_policy.data.validation.report import Report
from robot_policy.data.validation.validator import validate


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("clean")
    return {name: write(folder / name, name) for name in VERSIONS}


@pytest.fixture(params=VERSIONS)
def files(request: pytest.FixtureRequest, clean: dict[str, Path], tmp_path: Path) -> Files:
    return Files(Path(shutil.copytree(clean[request.param], tmp_path / "set")))


def found(report: Report) -> set[tuple[Any, ...]]:
    return {
        (f.fault.code, f.place.episode, f.place.frames, f.place.feature) for f in report.findings
    }


@pytest.mark.parametrize("field", ["total_episodes", "total_frames", "total_tasks"])
@pytest.mark.parametrize("by", [-1, 2])
def test_totals(files: Files, field: str, by: int) -> None:
    files.change_info(**{field: json.loads(files.info.read_text())[field] + by})
    report = validate(files.root, images=False)
    assert ("total-mismatch", None, None, field) in found(report)
    assert set(report.counts) == {"total-mismatch"}
    assert report.episodes == 3


def test_lengths(files: Files) -> None:
    files.change_row(1, length=25)
    codes = validate(files.root, images=False).counts
    report = validate(files.root, images=False)
    assert ("episode-length", 1, None, "length") in found(report)
    # What is added up of it is wrong, too; the frames themselves are not.
    assert set(codes) <= {"episode-length", "total-mismatch", "row-range"}
    assert report.frames == 74


def test_row_ranges(clean: dict[str, Path], tmp_path: Path) -> None:
    files = Files(Path(shutil.copytree(clean["lerobot_v3"], tmp_path / "set")))
    files.change_row(2, dataset_from_index=40)
    assert found(validate(files.root, images=False)) == {
        ("row-range", 2, None, "dataset_from_index")
    }


INDICES: dict[str, tuple[str, Callable[[Any], Any], tuple[int, int]]] = {
    "a frame number twice": ("frame_index", lambda x: [*x[:4], 3, *x[5:]], (4, 4)),
    "counted from somewhere else": ("index", lambda x: [i + 5 for i in x], (0, 19)),
    "of another episode": ("episode_index", lambda x: [*x[:-2], 7, 7], (18, 19)),
}


@pytest.mark.parametrize("fault", INDICES)
def test_indices(files: Files, fault: str) -> None:
    key, change, frames = INDICES[fault]
    files.change_column(1, key, change)
    report = validate(files.root, images=False)
    assert ("index-mismatch", 1, frames, key) in found(report)
    assert set(report.counts) <= {"index-mismatch", "statistics-mismatch"}


def test_timestamps(files: Files) -> None:
    files.change_column(
        1, "timestamp", lambda x: [*x[:5], x[4], *x[6:10], *(t + 1 for t in x[10:])]
    )
    report = validate(files.root, images=False)
    assert found(report) >= {
        ("timestamp-not-increasing", 1, (5, 5), "timestamp"),
        ("timestamp-off-grid", 1, (10, 19), "timestamp"),
    }
    assert set(report.counts) - {"statistics-mismatch"} == {
        "timestamp-not-increasing",
        "timestamp-off-grid",
    }


def test_tasks(files: Files) -> None:
    files.change_column(1, "task_index", lambda x: [*x[:3], 4, 4, *x[5:]])
    files.change_row(2, tasks=["stack the cubes"])
    report = validate(files.root, images=False)
    assert found(report) >= {
        ("task-index", 1, (3, 4), "task_index"),
        ("task-mismatch", 2, None, "tasks"),
    }
    assert set(report.counts) - {"statistics-mismatch"} == {"task-index", "task-mismatch"}


def test_files_that_are_missing(files: Files) -> None:
    files.video(0).unlink()
    files.data(2).unlink()
    report = validate(files.root)
    # Without its rows, nobody knows whose video the third one is.
    assert found(report) == {
        ("missing-file", 0, None, CAMERA),
        ("missing-file", 2, None, None),
    }
    assert (report.episodes, report.frames) == (2, 44)


def test_files_of_nobody(files: Files) -> None:
    shutil.copy(files.data(1), files.data(1).with_name("file-900.parquet"))
    report = validate(files.root, images=False)
    assert set(report.counts) == {"unreferenced-file"}
    assert str(report.findings[0].place).endswith("file-900.parquet")


STATISTICS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "mean": ("mean", lambda x: [x[0] + 0.1, *x[1:]]),
    "max": ("max", lambda x: [2.0, *x[1:]]),
    "count": ("count", lambda x: [x[0] + 1]),
    "quantile": ("q99", lambda x: [0.0, *x[1:]]),
}


@pytest.mark.parametrize("name", STATISTICS)
def test_statistics(files: Files, name: str) -> None:
    statistic, change = STATISTICS[name]
    path = files.root / "meta/episodes_stats.jsonl"
    if path.exists():
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        of = lines[1]["stats"]["observation.state"]
        of[statistic] = change(of[statistic])
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    else:
        path = sorted(files.root.glob("meta/episodes/*/*.parquet"))[1]
        change_column(path, f"stats/observation.state/{statistic}", lambda x: [change(x[0])])
    report = validate(files.root, images=False)
    assert found(report) == {("statistics-mismatch", 1, None, "observation.state")}
    assert statistic in report.findings[0].found


def test_statistics_of_images_and_of_all(clean: dict[str, Path], tmp_path: Path) -> None:
    files = Files(Path(shutil.copytree(clean["lerobot_v3"], tmp_path / "set")))
    row = sorted(files.root.glob("meta/episodes/*/*.parquet"))[2]
    change_column(row, f"stats/{CAMERA}/mean", lambda x: [[[[0.9]], *x[0][1:]]])
    path = files.root / "meta/stats.json"
    told = json.loads(path.read_text())
    told["action"]["std"][0] *= 2
    path.write_text(json.dumps(told))
    assert found(validate(files.root)) == {
        ("statistics-mismatch", 2, None, CAMERA),
        ("statistics-mismatch", None, None, "action"),
    }
    path.unlink()
    assert "statistics-missing" in validate(files.root, images=False).counts


def times(path: Path, rate_hz: float, count: int) -> None:
    y, x, c = np.mgrid[:32, :48, :3]
    write_video(path, np.stack([(x + y + c + i).astype(np.uint8) for i in range(count)]), rate_hz)


def test_videos_out_of_time(files: Files) -> None:
    times(files.video(0), 9.0, 24)  # the last frames half a period late, and more
    times(files.video(1), RATE_HZ * 0.999, 20)
    times(files.video(2), RATE_HZ, 27)
    report = validate(files.root)
    told = found(report)
    assert ("video-drift", 0, (5, 23), CAMERA) in told
    assert ("video-off-grid", 1, (1, 19), CAMERA) in told
    assert ("video-frame-count", 2, None, CAMERA) in told
    assert set(report.counts) <= {
        "video-drift",
        "video-off-grid",
        "video-frame-count",
        "statistics-mismatch",
    }


def test_images_that_cannot_be_decoded(files: Files) -> None:
    path = files.video(1)
    data = bytearray(path.read_bytes())
    start = data.index(b"mdat") + 4
    middle = start + (data.index(b"moov") - start) // 2
    for at in range(middle, middle + 60):
        data[at] ^= 0x5A
    path.write_bytes(data)
    report = validate(files.root)
    codes = {code for code, *_ in found(report)}
    assert codes == {"undecodable-frame"}
    (finding,) = report.findings
    assert (finding.place.episode, finding.place.feature) == (1, CAMERA)
    first, last = finding.place.frames or (0, 0)
    assert 0 < first < last == 19


def test_a_video_that_is_none(files: Files) -> None:
    files.video(2).write_bytes(b"nothing")
    assert found(validate(files.root)) == {("undecodable-frame", 2, (0, 29), CAMERA)}


def test_a_description_that_is_damaged(files: Files) -> None:
    files.info.write_text("{")
    report = validate(files.root)
    assert found(report) == {("dataset-unreadable", None, None, None)}
    assert "info.json" in report.findings[0].found


def test_rows_that_are_damaged(files: Files) -> None:
    files.data(1).write_bytes(files.data(1).read_bytes()[:200])
    report = validate(files.root)
    assert found(report) == {("episode-unreadable", 1, None, None)}
    assert report.episodes == 2


def join_data(files: Files) -> None:
    """All episodes into one data file, as lerobot's own writer does it."""
    paths = [files.data(number) for number in range(3)]
    pq.write_table(pa.concat_tables([pq.read_table(path) for path in paths]), paths[0])
    for number, path in enumerate(paths[1:], start=1):
        path.unlink()
        files.change_row(number, **{"data/file_index": 0})


@pytest.fixture
def joined(clean: dict[str, Path], tmp_path: Path) -> Files:
    files = Files(Path(shutil.copytree(clean["lerobot_v3"], tmp_path / "set")))
    join_data(files)
    return files


def test_episodes_that_share_a_file(joined: Files) -> None:
    assert validate(joined.root).findings == []
    joined.change_column(0, "episode_index", lambda x: [*x[:30], 8, 8, *x[32:]])
    report = validate(joined.root, images=False)
    assert ("index-mismatch", 1, (6, 7), "episode_index") in found(report)
    assert set(report.counts) <= {"index-mismatch", "statistics-mismatch"}
    output = joined.root.with_name("mended")
    mend(report, output, SourceOptions())
    assert validate(output).findings == []
    assert validate(output).frames == 74


def test_a_shared_file_that_was_cut_off(joined: Files) -> None:
    path = joined.data(0)
    pq.write_table(pq.read_table(path).slice(0, 60), path)
    report = validate(joined.root, images=False)
    assert ("episode-length", 2, None, "length") in found(report)
    # The statistics of all count the frames that are gone, too.
    assert {f.place.episode for f in report.findings} == {2, None}
    assert report.frames == 60


def test_what_is_no_number(files: Files) -> None:
    """Somebody may write anything anywhere."""
    table = pq.read_table(files.data(1))
    at = table.column_names.index("timestamp")
    texts = pa.array([str(t) for t in range(len(table))])
    pq.write_table(table.set_column(at, "timestamp", texts), files.data(1))
    (files.root / "meta/stats.json").write_text(json.dumps({"action": {"mean": "x", "std": {}}}))
    report = validate(files.root, images=False)
    assert ("episode-unreadable", 1, None, None) in found(report)
    assert "timestamp is not a number" in report.of("episode-unreadable")[0].found
    files.data(1).write_bytes(files.data(0).read_bytes())
    assert ("statistics-mismatch", None, None, "action") in found(validate(files.root))
