"""The parts of the calibration benchmark fit together, and its set-ups are what they say."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from calibration.hand_eye.data import Mounting
from robot_policy.core.errors import DataError

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"
sys.path.append(str(FOLDER))
rig = pytest.importorskip("calibration_rig")
statistics = pytest.importorskip("calibration_statistics")
records = pytest.importorskip("calibration_records")
tables = pytest.importorskip("calibration_tables")
generated = pytest.importorskip("generated")


@pytest.mark.parametrize("mounting", Mounting)
def test_the_arm_reaches_every_pose_and_sees_the_board(mounting: Mounting) -> None:
    rng = np.random.default_rng(3)
    setup = rig.arm_setup(mounting, rig.random_lens(rng), rng, poses=6)
    chain, low, high = rig.panda()
    assert ((setup.joints >= low) & (setup.joints <= high)).all()
    np.testing.assert_allclose(setup.rig.view_at(chain.pose(setup.joints)), setup.views, atol=1e-9)
    off = np.linalg.norm(setup.reported[:, :3, 3] - chain.pose(setup.joints)[:, :3, 3], axis=-1)
    assert 1e-5 < off.max() < 3e-3
    assert all(seen is not None for seen in rig.photographed(setup.rig, setup.views[:2], rng))


def test_the_interval_of_a_median_holds_it_as_often_as_promised() -> None:
    rng = np.random.default_rng(0)
    inside = 0
    for _ in range(400):
        low, high = statistics.median_interval(rng.exponential(size=50))
        inside += low <= np.log(2) <= high
    assert inside / 400 >= 0.94
    assert statistics.median_interval([1.0, 2.0, 3.0]) == (1.0, 3.0)


def test_the_package_is_found_beside_the_script_of_the_same_name() -> None:
    """From the folder of the scripts, and with nothing measured: every target is listed, unmet."""
    script = (
        "import calibration_path, runpy, sys\n"
        f"parts = runpy.run_path({str(FOLDER / 'calibration.py')!r}, run_name='listed')['PARTS']\n"
        "names = [job.name for part in parts for job in part.jobs()]\n"
        "targets = [target for part in parts for target in part.targets({})]\n"
        "assert len(set(names)) == len(names) and not any(t.holds for t in targets)\n"
        "print(len(names), len(targets))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=FOLDER, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    jobs, targets = map(int, done.stdout.split())
    assert jobs >= 10
    assert targets >= 20


def errors(mm: float) -> dict:
    return {"median_mm": mm, "median_mm_ci95": [mm - 0.1, mm + 0.1], "median_deg": 0.05}


def test_the_tables_of_the_docs_come_from_the_results(tmp_path: Path) -> None:
    cell = {
        "cell": "hand-eye-eye_in_hand",
        "setups": 50,
        "ours": errors(0.3),
        "opencv": {"park": errors(1.25)},
    }
    target = {
        "id": "hand_eye_mm",
        "target": "at most 1 mm",
        "measured": 0.3,
        "unit": "mm",
        "holds": True,
        "command": "python benchmarks/calibration.py",
    }
    results, page = tmp_path / "results.json", tmp_path / "page.md"
    results.write_text(json.dumps({"rows": [cell], "targets": [target]}))
    page.write_text("no marks")
    with pytest.raises(DataError, match="no place for the tables"):
        tables.write_tables(results, page)
    begin = generated.mark("calibration")
    page.write_text(f"before\n{begin}\nOUTDATED\n{generated.END}\nafter\n")
    for _ in range(2):
        tables.write_tables(results, page)
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    assert "OUTDATED" not in text
    assert "| OpenCV park | 1.25 (1.15 to 1.35), 0.050° |" in text
    assert "| hand_eye_mm | at most 1 mm | 0.3 mm | yes |" in text


def test_set_ups_that_were_measured_are_not_measured_again(tmp_path: Path) -> None:
    path, asked = tmp_path / "new" / "cell.jsonl", []

    def measure(seed: int) -> dict:
        asked.append(seed)
        return {"mm": seed / 2}

    records.measured(path, [0, 1], measure)
    path.write_text(path.read_text() + '{"seed": 2, "mm"')  # killed while it wrote
    found = records.measured(path, range(4), measure)
    assert asked == [0, 1, 2, 3]
    assert found == [{"seed": seed, "mm": seed / 2} for seed in range(4)]
    assert len(path.read_text().splitlines()) == 4
