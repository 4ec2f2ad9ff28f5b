"""A camera that has moved is said to have, by how much; one that has not, is not."""

from dataclasses import replace

import numpy as np
import pytest

from calibration.board import Board, BoardKind
from calibration.hand_eye.calibrate import HandEyeOptions, calibrate_hand_eye
from calibration.hand_eye.data import HandEyeData, Mounting
from calibration.hand_eye.drift import Tolerance, Verdict, measure_drift, stored_camera
from calibration.lens import Lens, LensModel
from calibration.result import CalibrationResult
from calibration.rigid import moved
from calibration.simulated_rig import SimulatedRig, diverse_views, ideal_detections, random_rig
from robot_policy.core.errors import DataError

BOARD = Board(BoardKind.CHARUCO, 5, 7, 0.035, 0.026, "5X5_100")
LENS = Lens(LensModel.PLUMB_BOB, 640, 480, np.array([600, 601, 320, 238, -0.1, 0.02, 0, 0, 0.0]))


def seen(rig: SimulatedRig, count: int, rng: np.random.Generator, *, arm_m: float) -> HandEyeData:
    views = diverse_views(BOARD, count, rng)
    corners = ideal_detections(BOARD, LENS, views, rng, noise_px=0.3)
    noise = np.concatenate([np.zeros((count, 3)), arm_m * rng.normal(size=(count, 3))], axis=-1)
    return rig.data(moved(rig.arm_at(views), noise), corners)


def calibrated(data: HandEyeData) -> CalibrationResult:
    options = HandEyeOptions(suggest_pose=False)
    return calibrate_hand_eye(data, options, rng=np.random.default_rng(0))


@pytest.mark.parametrize("mounting", list(Mounting))
def test_what_moved_is_found_and_what_did_not_holds(mounting: Mounting) -> None:
    rng = np.random.default_rng(5)
    rig = random_rig(mounting, BOARD, LENS, rng)
    stored = calibrated(seen(rig, 20, rng, arm_m=2e-4))
    same = measure_drift(stored, seen(rig, 8, rng, arm_m=2e-4), Tolerance(), rng=rng)
    assert same.verdict is Verdict.HOLDS
    assert same.shift_mm < 1.5
    step = np.array([0.0, np.deg2rad(0.5), 0.0, 0.004, 0.0, -0.003])
    bumped = replace(rig, parent_T_camera=moved(rig.parent_T_camera, step))
    drift = measure_drift(stored, seen(bumped, 8, rng, arm_m=2e-4), Tolerance(), rng=rng)
    assert drift.verdict is Verdict.DRIFTED
    assert drift.shift_mm == pytest.approx(5.0, abs=1.5)
    assert drift.turn_deg == pytest.approx(0.5, abs=0.15)
    assert drift.chance < 1e-3


def test_too_little_is_no_verdict() -> None:
    rng = np.random.default_rng(6)
    rig = random_rig(Mounting.EYE_IN_HAND, BOARD, LENS, rng)
    stored = calibrated(seen(rig, 20, rng, arm_m=2e-3))
    drift = measure_drift(stored, seen(rig, 6, rng, arm_m=4e-3), Tolerance(0.5, 0.05), rng=rng)
    assert drift.verdict is Verdict.UNDECIDED


@pytest.mark.slow
def test_the_chance_of_a_difference_is_what_it_says() -> None:
    """Of unmoved cameras, few differ by what is said to be rare."""
    rare = 0
    for seed in range(12):
        rng = np.random.default_rng(100 + seed)
        rig = random_rig(Mounting.EYE_IN_HAND, BOARD, LENS, rng)
        stored = calibrated(seen(rig, 15, rng, arm_m=5e-4))
        drift = measure_drift(stored, seen(rig, 10, rng, arm_m=5e-4), Tolerance(), rng=rng)
        rare += drift.chance < 0.01
    assert rare <= 2


def test_a_calibration_of_another_camera_is_refused() -> None:
    rng = np.random.default_rng(7)
    rig = random_rig(Mounting.EYE_IN_HAND, BOARD, LENS, rng)
    stored = calibrated(seen(rig, 8, rng, arm_m=2e-4))
    with pytest.raises(DataError, match="says not where camera 'wrist' is"):
        stored_camera(stored, "wrist")
    other = random_rig(Mounting.EYE_TO_HAND, BOARD, LENS, rng)
    with pytest.raises(DataError, match="another mounting"):
        measure_drift(stored, seen(other, 8, rng, arm_m=2e-4), Tolerance(), rng=rng)
