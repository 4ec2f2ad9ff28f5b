"""Cells of the calibration benchmark: motions that determine nothing, and ones that do.

python benchmarks/calibration_degenerate.py degenerate --json FILE
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import calibration_path  # noqa: F401
import numpy as np
from calibration_rig import CORNER_PX, arm_setup, random_lens
from jobs import Job
from measure import ROOT, Target
from numpy.typing import NDArray

from calibration.hand_eye.calibrate import HandEyeOptions, calibrate_hand_eye
from calibration.hand_eye.data import HandEyeData, Mounting
from calibration.rigid import moved
from calibration.simulated_rig import ideal_detections
from robot_policy.core.errors import DataError
from robot_policy.core.files import read_json, write_json
from robot_policy.core.geometry import matrix_from_rotvec, transform

type Array = NDArray[np.floating]

FOLDER = ROOT / "runs" / "calibration" / "degenerate"
AGAIN = "python benchmarks/calibration.py --only motions"
CELLS = ("degenerate", "good")
SETS = 100
KINDS = ("few", "shifts", "small", "one_axis_of_the_gripper", "one_axis_of_the_base")
MISSING = {
    "few": "too few poses",
    "shifts": "hardly turns",
    "small": "hardly turns",
    "one_axis_of_the_gripper": "about one axis",
    "one_axis_of_the_base": "about one axis",
}
"""What the refusal must say."""
_SLIP = np.array([3e-4] * 3 + [2e-4] * 3)
_POSES = 20


def run(cell: str, sets: int) -> dict[str, Any]:
    """Measures one cell."""
    records = [_one(cell, seed) for seed in range(sets)]
    refused = sum(record["refused"] for record in records)
    row: dict[str, Any] = {
        "sets": sets,
        "seeds": [0, sets - 1],
        "refused": refused,
        "accepted": sets - refused,
    }
    if cell == "degenerate":
        row["by_kind"] = {
            kind: {
                "sets": sum(r["kind"] == kind for r in records),
                "refused": sum(r["kind"] == kind and r["refused"] for r in records),
                "said_what_is_missing": sum(r["kind"] == kind and r["named"] for r in records),
            }
            for kind in KINDS
        }
        row["said_what_is_missing"] = sum(record["named"] for record in records)
    return row


def _one(cell: str, seed: int) -> dict[str, Any]:
    rng = np.random.default_rng([seed, CELLS.index(cell)])
    mounting = list(Mounting)[seed % 2]
    kind = KINDS[seed // 2 % len(KINDS)] if cell == "degenerate" else "good"
    data = _degenerate(kind, mounting, rng) if cell == "degenerate" else _good(mounting, rng)
    said = ""
    try:
        calibrate_hand_eye(data, HandEyeOptions(suggest_pose=False), rng=np.random.default_rng(0))
    except DataError as error:
        said = str(error)
    if bool(said) != (cell == "degenerate"):
        print(f"{seed} {kind} {mounting.value}: {said or 'accepted'}", file=sys.stderr, flush=True)
    named = bool(said) and MISSING.get(kind, "") in said
    return {"kind": kind, "refused": bool(said), "named": named}


def _good(mounting: Mounting, rng: np.random.Generator) -> HandEyeData:
    """From 10 to 24 poses that the arm can reach, the board in sight."""
    lens = random_lens(rng)
    setup = arm_setup(mounting, lens, rng, poses=int(rng.integers(10, 25)))
    rig = setup.rig
    return rig.data(
        setup.reported,
        ideal_detections(rig.board, lens, setup.views, rng, noise_px=CORNER_PX),
    )


def _degenerate(kind: str, mounting: Mounting, rng: np.random.Generator) -> HandEyeData:
    """Poses around one from which the board is seen, moved as `kind` says, and noise on all."""
    lens = random_lens(rng)
    rig = arm_setup(mounting, lens, rng, poses=1).rig
    count = int(rng.integers(2, 5)) if kind == "few" else _POSES
    view = rig.arm_at(_middle(rig.board.size_m))
    steps = np.zeros((count, 6))
    steps[:, 3:] = 0.03 * rng.normal(size=(count, 3))
    axis = rng.normal(size=3)
    angles = rng.uniform(-0.5, 0.5, count)[:, None] * axis / np.linalg.norm(axis)
    match kind:
        case "few":
            steps[:, :3] = 0.3 * rng.normal(size=(count, 3))
        case "small":
            steps[:, :3] = 0.006 * rng.normal(size=(count, 3))
        case "one_axis_of_the_gripper":
            steps[:, :3] = angles
    poses = moved(view, steps)
    if kind == "one_axis_of_the_base":
        about = view[:3, 3] + 0.1 * rng.normal(size=3)
        R = matrix_from_rotvec(angles)
        poses = transform(R, about - R @ about) @ poses
    seen = ideal_detections(rig.board, lens, rig.view_at(poses), rng, noise_px=CORNER_PX)
    return rig.data(moved(poses, _SLIP * rng.normal(size=(count, 6))), seen)


def _middle(size_m: tuple[float, float]) -> Array:
    """camera_T_board (4, 4) of a board half a metre away, a little tilted."""
    R = matrix_from_rotvec(np.array([0.3, 0.2, 0.0]))
    return transform(R, np.array([0.0, 0.0, 0.5]) - R @ np.array([*size_m, 0.0]) / 2)


def jobs() -> list[Job]:
    """One per cell."""
    return [
        Job(
            f"motions-{cell}",
            (
                *("benchmarks/calibration_degenerate.py", cell, "--sets", str(SETS)),
                *("--json", str(_result(cell).relative_to(ROOT))),
            ),
            _result(cell),
        )
        for cell in CELLS
    ]


def rows() -> list[dict[str, Any]]:
    """What is measured so far."""
    return [
        {"cell": f"motions-{cell}"} | read_json(_result(cell))
        for cell in CELLS
        if _result(cell).exists()
    ]


def targets(known: dict[str, dict[str, Any]]) -> list[Target]:
    """Refused what determines nothing, accepted what does."""
    bad, good = (known.get(f"motions-{cell}") for cell in CELLS)
    refused, accepted = bad and bad["refused"], good and good["accepted"]
    return [
        Target(
            "degenerate_refused",
            f"motions that determine nothing: {SETS} of {SETS} refused",
            refused,
            "sets",
            bool(bad) and refused == bad["sets"] >= SETS,
            AGAIN,
        ),
        Target(
            "good_accepted",
            f"good motions: {SETS} of {SETS} accepted",
            accepted,
            "sets",
            bool(good) and accepted == good["sets"] >= SETS,
            AGAIN,
        ),
    ]


def _result(cell: str) -> Path:
    return FOLDER / f"{cell}.json"


def main() -> int:
    """Writes the row of one cell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cell", choices=CELLS)
    parser.add_argument("--sets", type=int, default=SETS)
    parser.add_argument("--json", type=Path, required=True)
    arguments = parser.parse_args()
    write_json(arguments.json, run(arguments.cell, arguments.sets))
    return 0


if __name__ == "__main__":
    sys.exit(main())
