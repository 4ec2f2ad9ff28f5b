"""The findings on other libraries' datasets become rows, a target and a table."""

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))
pytest.importorskip("psutil")
data_foreign = pytest.importorskip("data_foreign")


def row(name: str, **codes: int) -> dict[str, Any]:
    return {
        "cell": f"foreign-{name}",
        "writer": name,
        "package": f"{name} 1",
        "format": "lerobot_v3",
        "episodes": 2,
        "frames": 9,
        "codes": codes,
        "first": {
            code: {
                "severity": "warning",
                "episode": 1,
                "frames": [3, 4],
                "feature": "action",
                "found": "a | b",
            }
            for code in codes
        },
    }


def test_the_target_counts_what_could_be_read() -> None:
    known = {r["cell"]: r for r in (row("lerobot", jump=1), row("robomimic"), row("rosbags"))}
    (target,) = data_foreign.targets(known)
    assert (target.measured, target.holds) == (3, True)
    known["foreign-rosbags"]["codes"] = {"dataset-unreadable": 1}
    (target,) = data_foreign.targets(known)
    assert (target.measured, target.holds) == (2, False)
    (target,) = data_foreign.targets({})
    assert (target.measured, target.holds) == (None, False)


def test_the_table() -> None:
    lines = data_foreign.table([row("lerobot", jump=2), row("mcap")]).splitlines()
    assert lines[2].endswith("| warning `jump` (2 x): episode 1, frames 3-4, action: a \\| b |")
    assert lines[3] == "| mcap (mcap 1) | lerobot_v3: 2 episodes, 9 frames | nothing |"


def test_every_dataset_is_made_before_it_is_checked_and_all_before_the_table() -> None:
    names = [job.name for job in data_foreign.jobs()]
    for job in data_foreign.jobs():
        assert all(names.index(need) < names.index(job.name) for need in job.needs)
    assert len(data_foreign.jobs()[-1].needs) == len(data_foreign.CELLS)
