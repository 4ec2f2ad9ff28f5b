"""Cells of the calibration benchmark: hand-eye on rendered boards, beside OpenCV's solvers.

python benchmarks/calibration_hand_eye.py eye_in_hand --setups 100 --json FILE

Every set-up is another rig, lens and set of poses of the Panda. Bad poses come in two kinds, in
turns: the arm had not settled (up to 20 mm and 3 degrees from where it says), and the board was
misread (every corner taken for its neighbour). All solvers are given the same detections and the
same true lens; OpenCV's, which know no pixels, get the board's pose from each picture.
"""

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import calibration_path  # noqa: F401
import numpy as np
from calibration_records import measured
from calibration_rig import (
    BOARD,
    CORNER_PX,
    ENCODER_RAD,
    ArmSetup,
    arm_setup,
    photographed,
    random_lens,
)
from calibration_statistics import median_interval
from jobs import Job
from measure import ROOT, Target
from numpy.typing import NDArray
from scipy.stats import chi2

from calibration.board_pose import board_pose
from calibration.detection import Detection
from calibration.hand_eye.calibrate import calibrate_hand_eye
from calibration.hand_eye.data import HandEyeData, Mounting
from calibration.hand_eye.starts import SOLVERS, solve_closed_form
from calibration.rigid import moved, step_between
from robot_policy.core.errors import DataError
from robot_policy.core.files import read_json, write_json
from sim.statistics import wilson_interval

type Array = NDArray[np.floating]

FOLDER = ROOT / "runs" / "calibration" / "hand_eye"
AGAIN = "python benchmarks/calibration.py --only hand-eye"
POSES = 20
BAD = 4
SETUPS_PER_LENS = 5
"""Rendering prepares a lens once."""
COARSE_RAD = 1e-3
"""Encoders three times as bad, for comparison: about a millimetre at the hand."""


@dataclass(frozen=True)
class Cell:
    """What the set-ups of a cell have in common."""

    mounting: Mounting
    bad: int = 0
    encoder_rad: float = ENCODER_RAD

    @property
    def setups(self) -> int:
        """How many are measured: more where the share in a region is told from them."""
        return 50 if self.bad or self.encoder_rad != ENCODER_RAD else 100


CELLS = {
    f"{mounting.value}{name}": Cell(mounting, **differs)
    for name, differs in (
        ("", {}),
        ("_bad", {"bad": BAD}),
        ("_coarse", {"encoder_rad": COARSE_RAD}),
    )
    for mounting in Mounting
}
NO_ANSWER = (1e3, 180.0)
"""Errors [mm], [deg] of a solver that returns none."""
WANTED_MM, WANTED_DEG, WANTED_RATIO, WANTED_BAD_MM = 1.0, 0.1, 0.5, 1.5
WANTED_REGION = (0.90, 0.98)
WANTED_S = 10.0


def run(cell: Cell, setups: int, kept: Path) -> dict[str, Any]:
    """Measures one cell."""
    records = measured(kept, range(setups), lambda seed: _setup(cell, seed))
    ours = [record["ours"] for record in records if record["ours"] is not None]
    inside = sum(one["inside"] for one in ours)
    row: dict[str, Any] = {
        "mounting": cell.mounting.value,
        "poses": POSES,
        "bad_poses": cell.bad,
        "setups": setups,
        "seeds": [0, setups - 1],
        "refused": len(records) - len(ours),
        "noise": {"corner_px": CORNER_PX, "encoder_rad": cell.encoder_rad},
        "ours": _errors([(one["mm"], one["deg"]) for one in ours]),
        "opencv": {
            solver: _errors([record["opencv"][solver] for record in records]) for solver in SOLVERS
        },
        "errors_mm": [round(one["mm"], 4) for one in ours],
        "errors_deg": [round(one["deg"], 5) for one in ours],
        "region_95": inside / len(ours),
        "region_95_ci95": list(wilson_interval(inside, len(ours))),
        "inside": inside,
        "solve_s": {
            "median": float(np.median([one["s"] for one in ours])),
            "largest": max(one["s"] for one in ours),
        },
        "detections_per_setup": float(np.mean([record["seen"] for record in records])),
    }
    if cell.bad:
        row["bad_poses_left_out"] = sum(one["found_bad"] for one in ours) / (cell.bad * len(ours))
        row["good_poses_left_out"] = sum(one["lost_good"] for one in ours)
    return row


def _setup(cell: Cell, seed: int) -> dict[str, Any]:
    mounting, bad = cell.mounting, cell.bad
    lens = random_lens(np.random.default_rng([seed // SETUPS_PER_LENS, 77]))
    # The same rigs and views in all cells of a mounting.
    rng = np.random.default_rng([seed, list(Mounting).index(mounting)])
    setup = arm_setup(mounting, lens, rng, poses=POSES, encoder_rad=cell.encoder_rad)
    seen = photographed(setup.rig, setup.views, rng)
    data = _spoilt(setup, seen, bad, rng)
    truth = setup.rig.parent_T_camera
    record: dict[str, Any] = {"seed": seed, "seen": sum(d is not None for d in seen)}
    record["opencv"] = {
        solver: NO_ANSWER if found is None else _error(found, truth)
        for solver, found in opencv(data).items()
    }
    start_s = time.process_time()
    try:
        result = calibrate_hand_eye(data, rng=np.random.default_rng(seed))
    except DataError as error:
        print(f"{mounting.value} {bad} {seed}: refused: {error}", file=sys.stderr, flush=True)
        return record | {"ours": None}
    seconds = time.process_time() - start_s
    name = f"{mounting.camera_parent}_T_camera"
    found = result.transform(name)
    off = step_between(found, truth)
    mahalanobis = float(off @ np.linalg.solve(result.covariance_of(name), off))
    mm, deg = _error(found, truth)
    used = set(result.values["used"])
    was_bad = {f"pose {i}" for i in range(bad)}
    usable = {f"pose {i}" for i, d in enumerate(seen) if d is not None}
    record["ours"] = {
        "mm": mm,
        "deg": deg,
        "s": seconds,
        "inside": bool(mahalanobis <= chi2.ppf(0.95, 6)),
        "found_bad": len(was_bad - used),
        "lost_good": len(usable - was_bad - used),
    }
    print(f"{mounting.value} {bad} {seed}: {mm:.2f} mm {deg:.3f} deg", flush=True)
    return record


def _spoilt(
    setup: ArmSetup, seen: Sequence[Detection | None], bad: int, rng: np.random.Generator
) -> HandEyeData:
    """The first `bad` poses are bad: arms that had not settled, and misread boards, in turns."""
    reported, spoilt = setup.reported.copy(), list(seen)
    for i in range(bad):
        one = spoilt[i]
        if i % 2 == 0 or one is None:
            slip = rng.normal(size=6)
            slip[:3] *= np.deg2rad(rng.uniform(0.5, 3.0)) / np.linalg.norm(slip[:3])
            slip[3:] *= rng.uniform(0.005, 0.02) / np.linalg.norm(slip[3:])
            reported[i] = moved(reported[i], slip)
        else:
            columns = BOARD.columns - 1
            kept = one.ids % columns < columns - 1
            spoilt[i] = replace(one, ids=one.ids[kept] + 1, pixels=one.pixels[kept])
    return setup.rig.data(reported, spoilt)


def opencv(data: HandEyeData) -> Mapping[str, Array | None]:
    """parent_T_camera (4, 4) by every one of OpenCV's solvers, from all poses."""
    lens = data.lenses["camera"]
    sights = [None if d is None else board_pose(BOARD, lens, d) for d in data.detections["camera"]]
    rows = [i for i, sight in enumerate(sights) if sight is not None]
    boards = np.array([s.camera_T_board for s in sights if s is not None])
    found = {
        solver: solve_closed_form(solver, data.mounting, data.base_T_gripper[rows], boards)
        for solver in SOLVERS
    }
    return {solver: None if pair is None else pair[0] for solver, pair in found.items()}


def _error(found: Array, truth: Array) -> tuple[float, float]:
    step = step_between(found, truth)
    return 1e3 * float(np.linalg.norm(step[3:])), float(np.rad2deg(np.linalg.norm(step[:3])))


def _errors(errors: Sequence[tuple[float, float]]) -> dict[str, Any]:
    """Medians with intervals, and the 90th percentiles."""
    mm, deg = zip(*errors, strict=True)
    return {
        "median_mm": float(np.median(mm)),
        "median_mm_ci95": list(median_interval(mm)),
        "p90_mm": float(np.quantile(mm, 0.9)),
        "median_deg": float(np.median(deg)),
        "median_deg_ci95": list(median_interval(deg)),
        "p90_deg": float(np.quantile(deg, 0.9)),
        "largest_mm": float(np.max(mm)),
    }


def jobs() -> list[Job]:
    """One per cell."""
    return [
        Job(
            f"hand-eye-{cell}",
            (
                "benchmarks/calibration_hand_eye.py",
                *(
                    cell,
                    "--setups",
                    str(CELLS[cell].setups),
                    "--json",
                    str(_result(cell).relative_to(ROOT)),
                ),
            ),
            _result(cell),
        )
        for cell in CELLS
    ]


def rows() -> list[dict[str, Any]]:
    """What is measured so far."""
    return [
        {"cell": f"hand-eye-{cell}"} | read_json(_result(cell))
        for cell in CELLS
        if _result(cell).exists()
    ]


def targets(known: dict[str, dict[str, Any]]) -> list[Target]:
    """The figures promised of hand-eye calibration."""
    listed: list[Target] = []
    clean: list[dict[str, Any] | None] = []
    for name, cell in CELLS.items():
        row = known.get(f"hand-eye-{name}")
        if cell.bad:
            listed += _bad_targets(cell.mounting, row)
        elif cell.encoder_rad == ENCODER_RAD:
            listed += _clean_targets(cell.mounting, row)
            clean.append(row)
    every = [known.get(f"hand-eye-{cell}") for cell in CELLS]
    return [*listed, _region(clean), _seconds(every)]


def _clean_targets(mounting: Mounting, row: dict[str, Any] | None) -> list[Target]:
    mm = row and row["ours"]["median_mm"]
    deg = row and row["ours"]["median_deg"]
    ratio_mm = row and mm / min(solver["median_mm"] for solver in row["opencv"].values())
    ratio_deg = row and deg / min(solver["median_deg"] for solver in row["opencv"].values())
    what = f"hand-eye, {mounting.value}, {POSES} poses, {row['setups'] if row else 0} set-ups"
    half = "at most half of that of OpenCV's best solver on the same data"
    return [
        _target(
            f"hand_eye_mm_{mounting.value}",
            f"{what}: median error at most {WANTED_MM:g} mm",
            mm,
            "mm",
            WANTED_MM,
        ),
        _target(
            f"hand_eye_deg_{mounting.value}",
            f"{what}: median error at most {WANTED_DEG:g} deg",
            deg,
            "deg",
            WANTED_DEG,
        ),
        _target(
            f"hand_eye_ratio_mm_{mounting.value}",
            f"{what}: median position error {half}",
            ratio_mm,
            "times",
            WANTED_RATIO,
        ),
        _target(
            f"hand_eye_ratio_deg_{mounting.value}",
            f"{what}: median orientation error {half}",
            ratio_deg,
            "times",
            WANTED_RATIO,
        ),
    ]


def _bad_targets(mounting: Mounting, row: dict[str, Any] | None) -> list[Target]:
    best = row and min(solver["median_mm"] for solver in row["opencv"].values())
    beside = f" (OpenCV's best solver: {best:.1f} mm)" if best else ""
    return [
        _target(
            f"hand_eye_bad_poses_mm_{mounting.value}",
            f"hand-eye, {mounting.value}, {BAD} of {POSES} poses bad, "
            f"{row['setups'] if row else 0} set-ups: median "
            f"error at most {WANTED_BAD_MM:g} mm{beside}",
            row and row["ours"]["median_mm"],
            "mm",
            WANTED_BAD_MM,
        )
    ]


def _region(clean: Sequence[dict[str, Any] | None]) -> Target:
    measured = None
    runs = sum(row["setups"] - row["refused"] for row in clean if row)
    if all(clean):
        measured = sum(row["inside"] for row in clean if row) / runs
    low, high = WANTED_REGION
    return Target(
        "hand_eye_region_95",
        f"the stated 95 % region holds the truth in {low:.0%} to {high:.0%} of {runs} runs",
        measured,
        "fraction",
        measured is not None and low <= measured <= high,
        AGAIN,
    )


def _seconds(every: Sequence[dict[str, Any] | None]) -> Target:
    largest = max(row["solve_s"]["largest"] for row in every if row) if all(every) else None
    return _target(
        "hand_eye_solve_s",
        "solving under 10 s of one core, the slowest run",
        largest,
        "s",
        WANTED_S,
    )


def _target(name: str, wanted: str, measured: float | None, unit: str, most: float) -> Target:
    holds = measured is not None and measured <= most
    return Target(name, wanted, measured and round(measured, 4), unit, holds, AGAIN)


def _result(cell: str) -> Path:
    return FOLDER / f"{cell}.json"


def main() -> int:
    """Writes the row of one cell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cell", choices=CELLS)
    parser.add_argument("--setups", type=int, default=50)
    parser.add_argument("--json", type=Path, required=True)
    arguments = parser.parse_args()
    write_json(
        arguments.json,
        run(CELLS[arguments.cell], arguments.setups, arguments.json.with_suffix(".jsonl")),
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
