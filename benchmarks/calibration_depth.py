"""Cell of the calibration benchmark: a depth camera found by the arm it sees, without a board.

python benchmarks/calibration_depth.py --setups 50 --json FILE

Depth images of the twin, 320 x 240 px, as such cameras deliver them: noise that grows with the
distance, 1.2 mm + 1.9 mm (z - 0.4 m)^2 [z in m] (Nguyen, Izadi and Lovell 2012), pixels at steps in
depth lost, whole millimetres. The joints have encoder noise, the table is in view.
"""

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import calibration_path  # noqa: F401
import cv2
import numpy as np
from calibration_records import measured
from calibration_rig import ENCODER_RAD, READY
from calibration_statistics import median_interval
from jobs import Job
from measure import ROOT, Target
from numpy.typing import NDArray
from scipy.stats import chi2

from calibration.depth_image import depth_in_metres
from calibration.depth_refinement import DepthView, refine_from_depth
from calibration.pose_difference import pose_difference
from calibration.rigid import step_between
from robot_policy.core.errors import DataError
from robot_policy.core.files import read_json, write_json
from robot_policy.core.geometry import matrix_from_rotvec, transform
from sim.envs.robosuite_arm import RobosuiteArm
from sim.registry import make_environment
from sim.robot_surface import TwinSurface
from sim.statistics import wilson_interval

type Array = NDArray[np.floating]

FOLDER = ROOT / "runs" / "calibration"
AGAIN = "python benchmarks/calibration.py --only depth"
SETUPS = 50
VIEWS = 8
SIZE = {"height": 240, "width": 320}
CAMERA = "agentview"
WANTED_MM, WANTED_DEG, WANTED_S = 3.0, 0.3, 10.0
OFF_MM, OFF_DEG = 20.0, 3.0
_POSES_RAD = np.array([0.5, 0.3, 0.4, 0.35, 0.6, 0.5, 0.8])


def run(setups: int, kept: Path) -> dict[str, Any]:
    """Measures all set-ups."""
    arm = make_environment("lift")
    surface = TwinSurface(arm)
    records = measured(kept, range(setups), lambda seed: _setup(arm, surface, seed))
    arm.close()
    found = [record for record in records if record["mm"] is not None]
    inside = sum(record["inside"] for record in found)
    row: dict[str, Any] = {
        "setups": setups,
        "seeds": [0, setups - 1],
        "views": VIEWS,
        "from": {"mm": OFF_MM, "deg": OFF_DEG},
        "refused": setups - len(found),
        "solve_s": {
            "median": float(np.median([record["s"] for record in found])),
            "largest": max(record["s"] for record in found),
        },
        "region_95": inside / len(found),
        "region_95_ci95": list(wilson_interval(inside, len(found))),
        "stated_sd_mm": float(np.median([record["sd_mm"] for record in found])),
    }
    for unit in ("mm", "deg"):
        errors = [record[unit] for record in found]
        row[f"error_{unit}"] = {
            "median": float(np.median(errors)),
            "ci95": list(median_interval(errors)),
            "p90": float(np.quantile(errors, 0.9)),
            "largest": max(errors),
        }
    return row


def _setup(arm: RobosuiteArm, surface: TwinSurface, seed: int) -> dict[str, Any]:
    rng = np.random.default_rng([seed, 13])
    arm.reset(seed)
    truth = random_camera(rng)
    arm.move_camera(CAMERA, truth)
    views = take_views(arm, surface, rng, count=VIEWS)
    guess = displaced(truth, rng, mm=OFF_MM, deg=OFF_DEG)
    start_s = time.process_time()
    try:
        result = refine_from_depth(views, guess)
    except DataError as error:
        print(f"{seed}: refused: {error}", file=sys.stderr, flush=True)
        return {"mm": None}
    found = result.transform("base_T_camera")
    mm, deg = pose_difference(truth, found)
    off = step_between(found, truth)
    spread = result.covariance_of("base_T_camera")
    record = {
        "mm": mm,
        "deg": deg,
        "s": time.process_time() - start_s,
        "sd_mm": result.figures["sd_mm"],
        "inside": bool(off @ np.linalg.solve(spread, off) <= chi2.ppf(0.95, 6)),
    }
    print(seed, {name: round(float(value), 3) for name, value in record.items()}, flush=True)
    return record


def random_camera(rng: np.random.Generator) -> Array:
    """base_T_camera (4, 4) of a camera about a metre before the arm, that looks at it."""
    target = np.array([0.25, 0.0, 0.25]) + rng.uniform(-0.05, 0.05, 3)
    around, up = rng.uniform(-1.0, 1.0), rng.uniform(0.15, 0.7)
    away = np.array([np.cos(around) * np.cos(up), np.sin(around) * np.cos(up), np.sin(up)])
    eye = target + rng.uniform(0.9, 1.3) * away
    z = (target - eye) / np.linalg.norm(target - eye)
    x = np.cross(z, [0.0, 0.0, 1.0])
    x /= np.linalg.norm(x)
    return transform(np.stack([x, np.cross(z, x), z], axis=1), eye)


def take_views(
    arm: RobosuiteArm, surface: TwinSurface, rng: np.random.Generator, *, count: int
) -> list[DepthView]:
    """Depth images of the arm in several places, and its surface where its encoders put it."""
    limits = arm.robot.joint_limits
    names = (*arm.robot.joint_names, arm.robot.gripper.joint)
    views: list[DepthView] = []
    while len(views) < count:
        joints = np.clip(READY + _POSES_RAD * rng.uniform(-1, 1, 7), limits.low, limits.high)
        put(arm, joints)
        if arm.ee_pose[2, 3] < 0.05:  # the table is in the way
            continue
        exact = arm.render_depth(CAMERA, **SIZE)
        depth_m = depth_in_metres(as_measured(exact, rng), where=CAMERA)
        said = (*(joints + ENCODER_RAD * rng.normal(size=7)), arm.gripper_m)
        info = arm.camera_info(CAMERA, **SIZE)
        robot = surface.posed(dict(zip(names, said, strict=True)))
        views.append(DepthView(depth_m, info.intrinsics, robot))
    return views


def put(arm: RobosuiteArm, joints: Array) -> None:
    """Puts the twin's joints (7,) somewhere; nothing can be stepped from there until a reset."""
    qpos = np.array(arm.model.qpos0)
    qpos[list(arm.joint_addresses[:-1])] = joints
    arm.restore(np.concatenate([[0.0], qpos, np.zeros(arm.model.nv)]))


def as_measured(exact_m: Array, rng: np.random.Generator) -> NDArray[np.uint16]:
    """What a depth camera makes of exact distances (h, w) [m]: noisy millimetres, 0 where lost."""
    sigma = 1.2e-3 + 1.9e-3 * (exact_m - 0.4) ** 2
    noisy = exact_m + sigma * rng.standard_normal(exact_m.shape)
    near = cv2.erode(exact_m, np.ones((3, 3)))
    far = cv2.dilate(exact_m, np.ones((3, 3)))
    lost = (far - near > 0.03 * exact_m) | (exact_m <= 0.0)
    return np.where(lost, 0.0, np.clip(np.round(1e3 * noisy), 0, 65535)).astype(np.uint16)


def displaced(pose: Array, rng: np.random.Generator, *, mm: float, deg: float) -> Array:
    """A pose (4, 4) that far from another, in a random direction."""
    axis, shift = rng.normal(size=3), rng.normal(size=3)
    R = matrix_from_rotvec(np.deg2rad(deg) * axis / np.linalg.norm(axis))
    away = 1e-3 * mm * shift / np.linalg.norm(shift)
    return transform(pose[:3, :3] @ R, pose[:3, 3] + away)


def jobs() -> list[Job]:
    """One."""
    return [
        Job(
            "depth",
            (
                *("benchmarks/calibration_depth.py", "--setups", str(SETUPS)),
                *("--json", str(_result().relative_to(ROOT))),
            ),
            _result(),
        )
    ]


def rows() -> list[dict[str, Any]]:
    """What is measured so far."""
    return [{"cell": "depth"} | read_json(_result())] if _result().exists() else []


def targets(known: dict[str, dict[str, Any]]) -> list[Target]:
    """The figures promised of refinement from depth."""
    row = known.get("depth")
    what = f"without a board, from {OFF_MM:g} mm and {OFF_DEG:g} deg off, median of {SETUPS}"
    return [
        _target(
            "depth_refinement_mm",
            f"{what}: at most {WANTED_MM:g} mm",
            row and row["error_mm"]["median"],
            "mm",
            WANTED_MM,
        ),
        _target(
            "depth_refinement_deg",
            f"{what}: at most {WANTED_DEG:g} deg",
            row and row["error_deg"]["median"],
            "deg",
            WANTED_DEG,
        ),
        _target(
            "depth_refinement_solve_s",
            f"solving under {WANTED_S:g} s of one core, the slowest run",
            row and row["solve_s"]["largest"],
            "s",
            WANTED_S,
        ),
    ]


def _target(name: str, wanted: str, measured: float | None, unit: str, most: float) -> Target:
    holds = measured is not None and measured <= most
    return Target(name, wanted, measured and round(measured, 4), unit, holds, AGAIN)


def _result() -> Path:
    return FOLDER / "depth.json"


def main() -> int:
    """Writes the row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--setups", type=int, default=SETUPS)
    parser.add_argument("--json", type=Path, required=True)
    arguments = parser.parse_args()
    write_json(arguments.json, run(arguments.setups, arguments.json.with_suffix(".jsonl")))
    return 0


if __name__ == "__main__":
    sys.exit(main())
