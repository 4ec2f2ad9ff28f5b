"""Cell of the calibration benchmark: intrinsics of lenses whose truth is known, beside OpenCV's.

python benchmarks/calibration_intrinsics.py intrinsics --setups 50 --json FILE

Both are given the same pictures, rendered and detected, with noise on every corner. They are
compared on further pictures that neither has seen, to which only the pose of the board is fitted.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import calibration_path  # noqa: F401
import numpy as np
from calibration_records import measured
from calibration_rig import BOARD, CORNER_PX, photographed, random_lens
from calibration_statistics import median_interval
from jobs import Job
from measure import ROOT, Target
from numpy.typing import NDArray

from calibration.board_pose import board_pose
from calibration.detection import Detection
from calibration.hand_eye.data import Mounting
from calibration.intrinsics.calibrate import (
    Frames,
    calibrate_intrinsics,
    lens_of,
    start_with_opencv,
)
from calibration.lens import Lens, LensModel
from calibration.simulated_rig import SimulatedRig, diverse_views
from robot_policy.core.files import read_json, write_json

type Array = NDArray[np.floating]

FOLDER = ROOT / "runs" / "calibration"
AGAIN = "python benchmarks/calibration.py --only intrinsics"
SETUPS = 50
PICTURES, HELD_OUT = 40, 20
CELLS = {"intrinsics": CORNER_PX, "intrinsics-rendered": 0.0}
"""Noise that is added to corners beyond what rendering and detection bring."""
WANTED_FOCAL, WANTED_RATIO, WANTED_S = 0.2, 1.02, 10.0


def run(noise_px: float, setups: int, kept: Path) -> dict[str, Any]:
    """Measures all set-ups."""
    records = measured(kept, range(setups), lambda seed: _setup(noise_px, seed))

    def column(name: str) -> list[float]:
        return [record[name] for record in records]

    ratios = column("held_out_ratio")
    row: dict[str, Any] = {
        "setups": setups,
        "seeds": [0, setups - 1],
        "pictures": PICTURES,
        "held_out_pictures": HELD_OUT,
        "noise": {"corner_px": noise_px},
        "held_out_ratio": {
            "median": float(np.median(ratios)),
            "ci95": list(median_interval(ratios)),
            "largest": max(ratios),
        },
        "held_out_px": {
            "ours": float(np.median(column("held_out_px"))),
            "opencv": float(np.median(column("opencv_held_out_px"))),
            "true_lens": float(np.median(column("true_held_out_px"))),
            "stated": float(np.median(column("stated_held_out_px"))),
        },
        "solve_s": {"median": float(np.median(column("s"))), "largest": max(column("s"))},
        # A 95 % interval of one number should hold it in 95 %.
        "focal_within_two_std": float(np.mean([r < 1.96 for r in column("focal_over_std")])),
    }
    for name in ("focal_percent", "opencv_focal_percent"):
        errors = column(name)
        row[name] = {
            "median": float(np.median(errors)),
            "ci95": list(median_interval(errors)),
            "p90": float(np.quantile(errors, 0.9)),
            "largest": max(errors),
        }
    return row


def _setup(noise_px: float, seed: int) -> dict[str, float]:
    rng = np.random.default_rng([seed, 5])
    lens = random_lens(rng)
    still = np.eye(4)
    rig = SimulatedRig(Mounting.EYE_TO_HAND, BOARD, lens, still, still)
    views = diverse_views(
        BOARD, PICTURES + HELD_OUT, rng, distance_m=(0.3, 0.55), tilt_rad=(0.1, 0.8), aside=0.28
    )
    seen = photographed(rig, views, rng, noise_px=noise_px)
    shown, held_out = seen[:PICTURES], [d for d in seen[PICTURES:] if d is not None]
    start_s = time.process_time()
    size = (lens.width, lens.height)
    labels = tuple(f"picture {i}" for i in range(PICTURES))
    result = calibrate_intrinsics(Frames(BOARD, size, shown, labels), LensModel.PLUMB_BOB)
    seconds = time.process_time() - start_s
    ours = lens_of(result)
    theirs, _ = start_with_opencv(
        BOARD, [d for d in shown if d is not None], size, LensModel.PLUMB_BOB
    )
    px = {name: _rms_px(one, held_out) for name, one in (("ours", ours), ("theirs", theirs))}
    std = np.sqrt(np.diag(result.covariance))
    record = {
        "focal_percent": _focal_percent(ours, lens),
        "opencv_focal_percent": _focal_percent(theirs, lens),
        "focal_over_std": float(abs(ours.parameters[0] - lens.parameters[0]) / std[0]),
        "held_out_px": px["ours"],
        "opencv_held_out_px": px["theirs"],
        "true_held_out_px": _rms_px(lens, held_out),
        "stated_held_out_px": result.figures["held_out_px"],
        "held_out_ratio": px["ours"] / px["theirs"],
        "s": seconds,
    }
    print(seed, {name: round(value, 4) for name, value in record.items()}, flush=True)
    return record


def _focal_percent(found: Lens, truth: Lens) -> float:
    """The larger one of the relative errors of fx and fy [%]."""
    return 100.0 * float(np.abs(found.parameters[:2] / truth.parameters[:2] - 1.0).max())


def _rms_px(lens: Lens, seen: Sequence[Detection]) -> float:
    """Over all corners of pictures to which only the pose of the board is fitted [px]."""
    poses = [board_pose(BOARD, lens, detection) for detection in seen]
    squares = np.concatenate([(p.residuals_px**2).sum(axis=-1) for p in poses if p is not None])
    return float(np.sqrt(squares.mean()))


def jobs() -> list[Job]:
    """One per cell."""
    return [
        Job(
            cell,
            (
                *("benchmarks/calibration_intrinsics.py", cell, "--setups", str(SETUPS)),
                *("--json", str(_result(cell).relative_to(ROOT))),
            ),
            _result(cell),
        )
        for cell in CELLS
    ]


def rows() -> list[dict[str, Any]]:
    """What is measured so far."""
    return [{"cell": cell} | read_json(_result(cell)) for cell in CELLS if _result(cell).exists()]


def targets(known: dict[str, dict[str, Any]]) -> list[Target]:
    """The figures promised of intrinsics."""
    row, rendered = (known.get(cell) for cell in CELLS)
    return [
        _target(
            "intrinsics_focal_percent_rendered",
            f"focal length (the worse of fx and fy) within {WANTED_FOCAL:g} %: the worst of "
            f"{SETUPS} set-ups of {PICTURES} rendered pictures, no noise added to their corners",
            rendered and rendered["focal_percent"]["largest"],
            "%",
            WANTED_FOCAL,
        ),
        _target(
            "intrinsics_focal_percent",
            f"focal length (the worse of fx and fy) within {WANTED_FOCAL:g} %: median of {SETUPS} "
            f"set-ups of {PICTURES} pictures, {CORNER_PX} px of noise added to every corner",
            row and row["focal_percent"]["median"],
            "%",
            WANTED_FOCAL,
        ),
        _target(
            "intrinsics_held_out_ratio",
            "held-out reprojection error no worse than OpenCV's own by 2 %: median over set-ups",
            row and row["held_out_ratio"]["median"],
            "times",
            WANTED_RATIO,
        ),
        _target(
            "intrinsics_solve_s",
            f"solving under {WANTED_S:g} s of one core, the slowest run",
            row and row["solve_s"]["largest"],
            "s",
            WANTED_S,
        ),
    ]


def _target(name: str, wanted: str, measured: float | None, unit: str, most: float) -> Target:
    holds = measured is not None and measured <= most
    return Target(name, wanted, measured and round(measured, 4), unit, holds, AGAIN)


def _result(cell: str) -> Path:
    return FOLDER / f"{cell}.json"


def main() -> int:
    """Writes the row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cell", choices=CELLS)
    parser.add_argument("--setups", type=int, default=SETUPS)
    parser.add_argument("--json", type=Path, required=True)
    arguments = parser.parse_args()
    kept = arguments.json.with_suffix(".jsonl")
    write_json(arguments.json, run(CELLS[arguments.cell], arguments.setups, kept))
    return 0


if __name__ == "__main__":
    sys.exit(main())
