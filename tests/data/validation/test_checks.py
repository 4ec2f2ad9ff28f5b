"""Every check finds exactly the fault that was put into a dataset, where it was put."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clean_recordings import CAMERA, changed, recordings, write

from robot_policy.core.episode import Success
from robot_policy.data.formats.registry import FORMATS
from robot_policy.data.recording import STAMP, Recording
from robot_policy.data.validation.finding import Finding, Place, Severity
from robot_policy.data.validation.grouping import MOST_RUNS, runs
from robot_policy.data.validation.report import MOST_LISTED, Report
from robot_policy.data.validation.validator import all_faults, validate

STATE, ACTION = "observation.state", "action"
HDF5_ONLY = {"action-not-normalised"}


def put(values: Any, index: Any, value: Any) -> Any:
    values[index] = value
    return values


def shifted(stamps: Any, frame: int, by_ms: int) -> Any:
    stamps[frame:] += by_ms * 1_000_000
    return stamps


def every(key: str, change: Callable[[Any], Any]) -> list[Recording]:
    return [
        replace(one, columns={**one.columns, key: change(one.columns[key].copy())})
        for one in recordings()
    ]


def twice() -> list[Recording]:
    first, second, third = recordings()
    return [first, second, third, replace(second, index=3, columns=dict(second.columns))]


def jitter(stamps: Any) -> Any:
    stamps[1::3] += 40_000_000
    return stamps


type Fault = tuple[str, int | None, tuple[int, int] | None, str | None]
"""Code, episode, frames, feature."""

FAULTS: dict[str, tuple[Callable[[], list[Recording]], Fault]] = {
    "not a number": (
        lambda: changed(1, STATE, lambda x: put(x, (slice(4, 7), 2), np.nan)),
        ("not-finite", 1, (4, 6), STATE),
    ),
    "infinite in another feature": (
        lambda: changed(2, "observation.tactile", lambda x: put(x, (9, 1, 1), np.inf)),
        ("not-finite-extra", 2, (9, 9), "observation.tactile"),
    ),
    "beyond the limits": (
        lambda: changed(1, ACTION, lambda x: put(x, (slice(3, 5), 0), 1.3)),
        ("action-outside-limits", 1, (3, 4), ACTION),
    ),
    "a jump": (
        lambda: changed(2, STATE, lambda x: put(x, (slice(15, None), 1), x[15:, 1] + 3)),
        ("jump", 2, (15, 15), STATE),
    ),
    "time stands still": (
        lambda: changed(0, STAMP, lambda x: shifted(x, 7, -100)),
        ("stamp-not-increasing", 0, (7, 7), STAMP),
    ),
    "a gap": (
        lambda: changed(1, STAMP, lambda x: shifted(x, 8, 300)),
        ("stamp-gap", 1, (8, 8), STAMP),
    ),
    "uneven": (
        lambda: changed(1, STAMP, jitter),
        ("stamp-irregular", 1, None, STAMP),
    ),
    "another rate": (
        lambda: changed(2, STAMP, lambda x: x[0] + (x - x[0]) * 6 // 5),
        ("stamp-rate", 2, None, STAMP),
    ),
    "twice": (twice, ("duplicate-episode", 3, None, None)),
    "a state that never changes": (
        lambda: every(STATE, lambda x: np.ones_like(x)),
        ("constant-feature", None, None, STATE),
    ),
    "an entry that never changes": (
        lambda: every(STATE, lambda x: put(x, (..., 1), 0.5)),
        ("constant-entry", None, None, STATE),
    ),
    "a gripper that never moves": (
        lambda: every(ACTION, lambda x: put(x, (..., 3), 1.0)),
        ("gripper-never-moves", None, None, ACTION),
    ),
    "a gripper that opens to close": (
        lambda: every(STATE, lambda x: put(x, (..., 3), 1 - x[..., 3])),
        ("gripper-inverted", None, None, ACTION),
    ),
    "a gripper from -1 to 1": (
        lambda: every(ACTION, lambda x: put(x, (..., 3), 2 * x[..., 3] - 1)),
        ("gripper-range", None, None, ACTION),
    ),
    "two kinds of gripper": (
        lambda: changed(2, ACTION, lambda x: put(x, (..., 3), 2 * x[..., 3] - 1)),
        ("gripper-mixed", None, None, ACTION),
    ),
    "nobody knows": (
        lambda: [
            replace(one, success=Success.UNKNOWN) if one.index else one for one in recordings()
        ],
        ("success-unknown", 1, None, None),
    ),
    "nothing said": (
        lambda: [replace(one, task="") for one in recordings()],
        ("task-empty", 0, None, None),
    ),
}
CONSEQUENCES = {
    # A gripper of the other convention goes below its limit, too.
    "gripper-range": {"action-outside-limits"},
    "gripper-mixed": {"action-outside-limits"},
}


def place_of(finding: Finding) -> Fault:
    place = finding.place
    return finding.fault.code, place.episode, place.frames, place.feature


@pytest.fixture
def unguarded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Writers refuse some of the faults that somebody else's would write."""
    for module in ("lerobot_writer", "robomimic_writer", "rosbag_writer"):
        name = f"robot_policy.data.formats.{module}.check_recording"
        monkeypatch.setattr(name, lambda recording, description: None)


@pytest.mark.parametrize("name", FORMATS)
def test_nothing_is_found_where_nothing_is_wrong(name: str, tmp_path: Path) -> None:
    report = validate(write(tmp_path / "set", name))
    assert report.findings == []
    assert (report.episodes, report.frames) == (3, 74)


# What is not about files is the same for all formats; one of either kind is enough.
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", ["lerobot_v21", "robomimic_hdf5"])
def test_a_fault_in_the_data_is_found(
    name: str, fault: str, tmp_path: Path, unguarded: None
) -> None:
    make, expected = FAULTS[fault]
    path = write(tmp_path / "set", name, images=False, given=make())
    report = validate(path)
    assert [place_of(finding) for finding in report.of(expected[0])] == [expected]
    assert set(report.counts) - {expected[0]} <= CONSEQUENCES.get(expected[0], set()) | HDF5_ONLY


IMAGE_FAULTS: dict[str, tuple[Callable[[Any], Any], str, tuple[int, int]]] = {
    "a black image": (lambda x: put(x, slice(3, 5), 0), "image-blank", (3, 4)),
    "a camera that stalls": (lambda x: put(x, slice(5, 18), x[4]), "image-frozen", (5, 17)),
}


@pytest.mark.parametrize("fault", IMAGE_FAULTS)
@pytest.mark.parametrize("name", FORMATS)
def test_a_fault_in_the_images_is_found(name: str, fault: str, tmp_path: Path) -> None:
    change, code, frames = IMAGE_FAULTS[fault]
    path = write(tmp_path / "set", name, given=changed(1, CAMERA, change))
    report = validate(path)
    if name.startswith("lerobot") and code == "image-frozen":
        # Compressed again and again, even one image is not quite the same every time.
        assert set(report.counts) <= {code}
        return
    assert [place_of(finding) for finding in report.findings] == [(code, 1, frames, CAMERA)]
    assert not validate(path, images=False).counts


def test_frames_are_grouped() -> None:
    bad = np.zeros(100, dtype=bool)
    bad[3:6] = bad[50] = True
    assert [(run.frames, run.count, str(run)) for run in runs(bad)] == [
        ((3, 5), 3, ""),
        ((50, 50), 1, ""),
    ]
    bad[::10] = True
    assert MOST_RUNS < 10
    assert [(run.frames, str(run)) for run in runs(bad)] == [((0, 90), " (13 frames in all)")]
    assert list(runs(np.zeros(5, dtype=bool))) == []


def test_a_report_does_not_grow_without_end(tmp_path: Path) -> None:
    report = Report(tmp_path, "lerobot_v3")
    fault = next(f for f in all_faults() if f.severity is Severity.ERROR)
    for episode in range(MOST_LISTED + 10):
        report.add([Finding(fault, Place(episode=episode), "x")])
    told = report.to_json()
    assert len(told["findings"]) == MOST_LISTED
    assert told["not_listed"] == 10
    assert told["codes"] == {fault.code: MOST_LISTED + 10}


def test_every_code_is_one_word_and_documented() -> None:
    docs = (Path(__file__).resolve().parents[3] / "docs/data.md").read_text()
    for fault in all_faults():
        assert fault.code == fault.code.lower().replace(" ", "-")
        row = f"| `{fault.code}` | {fault.severity.value} |"
        assert row in docs, row
