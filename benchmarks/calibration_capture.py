"""Cells of the calibration benchmark: a capture through the ROS nodes, what it gives, drift found.

python benchmarks/calibration_capture.py MOUNTING --json FILE

The twin's node is started with a board in the scene, on the table or in the gripper. `calibrate
capture` moves the arm by its topics through 20 poses, `calibrate hand-eye` solves, and the result
is compared with where the twin's camera is. Then `calibrate check` is given that result, and the
same with the camera 5 mm and 0.5 degrees elsewhere.
"""

import argparse
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import calibration_path  # noqa: F401
import numpy as np
from jobs import Job
from measure import ROOT, Target
from numpy.typing import NDArray

from calibration.hand_eye.data import Mounting
from calibration.pose_difference import pose_difference
from calibration.result import CalibrationResult
from calibration.rigid import moved
from robot_policy.core.files import read_json, write_json
from robot_policy.core.geometry import inverse
from sim.registry import make_environment

type Array = NDArray[np.floating]

FOLDER = ROOT / "runs" / "calibration" / "capture"
AGAIN = "python benchmarks/calibration.py --only capture"
POSES = 20
MINUTES, SOLVE_S, CHECK_MINUTES = 5.0, 10.0, 2.0
CAMERAS = {"eye_in_hand": "wrist", "eye_to_hand": "agentview"}
BUMP_MM, BUMP_DEG = 5.0, 0.5
_LARGEST_MM, _LARGEST_DEG = 1.0, 0.1
"""Targets of the hand-eye calibration, which a captured set must meet as well."""


def jobs() -> list[Job]:
    """One per mounting, alone on the machine because they measure time."""
    return [
        Job(
            f"capture-{mounting}",
            ("benchmarks/calibration_capture.py", mounting, "--json", _relative(_result(mounting))),
            _result(mounting),
            alone=True,
        )
        for mounting in CAMERAS
    ]


def rows() -> list[dict[str, Any]]:
    """What is measured so far."""
    return [
        {"cell": f"capture-{mounting}"} | read_json(_result(mounting))
        for mounting in CAMERAS
        if _result(mounting).exists()
    ]


def targets(known: dict[str, dict[str, Any]]) -> list[Target]:
    """The worse of the two mountings each."""
    found = [known[f"capture-{m}"] for m in CAMERAS if f"capture-{m}" in known]
    cells = found if len(found) == len(CAMERAS) else []

    def worst(name: str) -> float | None:
        return max((float(cell[name]) for cell in cells), default=None)

    def target(name: str, words: str, measured: float | None, unit: str, most: float) -> Target:
        holds = measured is not None and measured <= most
        shown = None if measured is None else round(measured, 4)
        return Target(f"calibration_{name}", words, shown, unit, holds, AGAIN)

    minutes = worst("capture_s")
    check = worst("check_s")
    both = "both mountings, the worse one"
    return [
        target(
            "capture_minutes",
            f"capture of {POSES} poses through the ROS nodes in the twin under {MINUTES:g} "
            f"minutes; {both}",
            None if minutes is None else minutes / 60,
            "min",
            MINUTES,
        ),
        target(
            "capture_outside",
            f"readings of the arm outside its limits during the capture: none; {both}",
            worst("outside"),
            "readings",
            0.0,
        ),
        target(
            "capture_missing",
            f"poses missing of {POSES}: none; {both}",
            worst("missing"),
            "poses",
            0.0,
        ),
        target(
            "capture_solve_s",
            f"solving the captured set under {SOLVE_S:g} s, program start and reading "
            f"the pictures included; {both}",
            worst("solve_s"),
            "s",
            SOLVE_S,
        ),
        target(
            "capture_error_mm",
            f"hand-eye from the captured set at most {_LARGEST_MM:g} mm from the twin's truth; "
            f"{both}",
            worst("error_mm"),
            "mm",
            _LARGEST_MM,
        ),
        target(
            "capture_error_deg",
            f"likewise at most {_LARGEST_DEG:g} degrees; {both}",
            worst("error_deg"),
            "deg",
            _LARGEST_DEG,
        ),
        target(
            "check_minutes",
            f"`calibrate check` under {CHECK_MINUTES:g} minutes, by the ROS nodes; {both}",
            None if check is None else check / 60,
            "min",
            CHECK_MINUTES,
        ),
        target(
            "check_wrong",
            f"verdicts of `calibrate check` that are wrong, of a calibration that holds and of one "
            f"{BUMP_MM:g} mm and {BUMP_DEG:g} degrees off: none; {both}",
            worst("wrong_verdicts"),
            "verdicts",
            0.0,
        ),
    ]


def main() -> int:
    """Measures one mounting."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("mounting", choices=list(CAMERAS))
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--poses", type=int, default=POSES, help="fewer for a short try")
    arguments = parser.parse_args()
    write_json(arguments.json, measure(arguments.mounting, arguments.poses))
    return 0


def measure(mounting: str, poses: int) -> dict[str, Any]:
    """Captures, solves, checks; returns a row."""
    folder = FOLDER / mounting
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    run("calibrate", "board", "--output", folder / "board")
    board, samples = folder / "board" / "board.yaml", folder / "samples"
    report = folder / "capture.json"
    capture_s = run(
        *("calibrate", "capture", "--output", samples, "--board", board, "--mounting", mounting),
        *("--poses", poses, "--via", "nodes", "--speed", "1", "--json", report),
    )
    told = read_json(report)
    result = folder / "hand_eye.yaml"
    solve_s = solve(mounting, samples, board, result)
    found = CalibrationResult.load(result)
    name = f"{Mounting(mounting).camera_parent}_T_camera"
    error_mm, error_deg = pose_difference(truth(mounting), found.transform(name))
    bumped = folder / "bumped.yaml"
    with_camera(found, name, bump(found.transform(name))).save(bumped)
    verdicts: dict[str, Any] = {}
    check_s = 0.0
    for label, file, status in (("holds", result, 0), ("bumped", bumped, 1)):
        checked = folder / f"{label}.json"
        seconds = run(
            *("calibrate", "check", file, "--board", board, "--via", "nodes", "--speed", "1"),
            *("--json", checked),
            status=status,
        )
        check_s = max(check_s, seconds)
        verdicts[label] = read_json(checked)
    wrong = (verdicts["holds"]["verdict"] != "holds") + (verdicts["bumped"]["verdict"] != "drifted")
    return {
        "mounting": mounting,
        "poses": told["taken"],
        "missing": poses - told["taken"],
        "capture_s": round(capture_s, 1),
        **{k: told[k] for k in ("outside", "steps", "restricted", "unseen", "given_up")},
        "joint_margin_deg": round(float(np.rad2deg(told["joint_margin_rad"])), 2),
        "workspace_margin_mm": round(1000 * told["workspace_margin_m"], 1),
        "weakest_turn_deg": round(told["weakest_turn_deg"], 1),
        "solve_s": round(solve_s, 2),
        "error_mm": round(error_mm, 4),
        "error_deg": round(error_deg, 4),
        "std_mm": round(found.figures[f"{name}.std_mm"], 4),
        "check_s": round(check_s, 1),
        "wrong_verdicts": int(wrong),
        "drift_mm": {k: round(v["shift_mm"], 3) for k, v in verdicts.items()},
        "drift_deg": {k: round(v["turn_deg"], 4) for k, v in verdicts.items()},
    }


def solve(mounting: str, samples: Path, board: Path, result: Path) -> float:
    """Solves, and returns the time of the whole program [s]."""
    return run(
        *("calibrate", "hand-eye", samples, "--mounting", mounting, "--board", board),
        *("--intrinsics", samples / f"{CAMERAS[mounting]}.yaml", "--output", result),
    )


def run(*arguments: object, status: int = 0) -> float:
    """Runs the program and returns its time [s]; a check may end with a verdict as status."""
    program = [sys.executable, "-m", "robot_policy.cli.main", *map(str, arguments)]
    start_s = time.perf_counter()
    done = subprocess.run(program, cwd=ROOT, check=False)
    if done.returncode not in (0, status, 3 if status else 0):
        raise SystemExit(f"status {done.returncode}: {' '.join(program[1:])}")
    return time.perf_counter() - start_s


def truth(mounting: str) -> Array:
    """Where the twin's camera is: in the hand, or in the base."""
    arm = make_environment("lift", robot="panda_twin_joint")
    arm.reset(0)
    base_T_camera = arm.camera_info(CAMERAS[mounting], height=480, width=640).base_T_camera
    ee = arm.ee_pose
    arm.close()
    return inverse(ee) @ base_T_camera if mounting == "eye_in_hand" else base_T_camera


def bump(parent_T_camera: Array) -> Array:
    """The camera `BUMP_MM` and `BUMP_DEG` elsewhere."""
    step = np.array([0.0, np.deg2rad(BUMP_DEG), 0.0, 0.0, 0.0, 1e-3 * BUMP_MM])
    return moved(parent_T_camera, step)


def with_camera(found: CalibrationResult, name: str, pose: Array) -> CalibrationResult:
    """The result with its camera at another pose."""
    return CalibrationResult(
        kind=found.kind,
        values={**found.values, name: pose},
        parameters=found.parameters,
        covariance=found.covariance,
    )


def _result(mounting: str) -> Path:
    return FOLDER / f"{mounting}.json"


def _relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


if __name__ == "__main__":
    sys.exit(main())
