"""The time offset between pictures and joints, to a millisecond and with its uncertainty."""

from dataclasses import replace

import numpy as np
import pytest

from calibration.board import Board, BoardKind
from calibration.hand_eye.data import Mounting
from calibration.lens import Lens, LensModel
from calibration.rigid import moved
from calibration.simulated_rig import ideal_detections, random_rig
from calibration.time_offset.arm_path import ArmPath
from calibration.time_offset.calibrate import Motion, calibrate_time_offset
from robot_policy.core.errors import DataError
from robot_policy.core.geometry import matrix_from_rotvec, transform

BOARD = Board(BoardKind.CHARUCO, 8, 6, 0.03, 0.022, "5X5_50")
LENS = Lens(LensModel.PLUMB_BOB, 640, 480, np.array([600, 602, 322, 236, -0.2, 0.1, 1e-3, 0, 0]))
START_NS = 1_700_000_000_000_000_000


def sway(times_s: np.ndarray, *, seed: int, size: float, regular: bool = False) -> np.ndarray:
    """camera_T_board of a board that sways in front of the camera, at changing speed."""
    rng = np.random.default_rng(seed)
    rates = np.full((5, 6), 1.0) if regular else rng.uniform(0.15, 0.7, (5, 6))
    phases = rng.uniform(0, 2 * np.pi, (5, 6))
    wave = np.sin(2 * np.pi * rates * times_s[:, None, None] + phases).mean(axis=1)
    step = wave * np.array([0.7, 0.7, 0.7, 0.08, 0.08, 0.1]) * size
    R = matrix_from_rotvec(step[:, :3])
    middle = np.array([*BOARD.size_m, 0.0]) / 2
    return transform(R, step[:, 3:] + [0, 0, 0.45] - R @ middle)


def motion(
    mounting: Mounting,
    offset_s: float,
    *,
    seed: int = 0,
    size: float = 1.0,
    regular: bool = False,
    duration_s: float = 4.5,
) -> Motion:
    rng = np.random.default_rng(seed)
    rig = random_rig(mounting, BOARD, LENS, rng)
    images_s, joints_s = np.arange(0, duration_s, 1 / 30), np.arange(-0.6, duration_s + 0.6, 0.01)
    views = [sway(t, seed=seed, size=size, regular=regular) for t in (images_s, joints_s)]
    slips = rng.normal(size=(len(joints_s), 6)) * ([2e-4] * 3 + [1e-4] * 3)
    return Motion(
        mounting,
        BOARD,
        LENS,
        START_NS + np.round(1e9 * (images_s - offset_s)).astype(np.int64),
        ideal_detections(BOARD, LENS, views[0], rng, noise_px=0.3),
        START_NS + np.round(1e9 * joints_s).astype(np.int64),
        moved(rig.arm_at(views[1]), slips),
    )


@pytest.mark.parametrize(
    ("mounting", "offset_s"), [(Mounting.EYE_IN_HAND, 0.0837), (Mounting.EYE_TO_HAND, -0.1213)]
)
def test_the_offset_is_found_to_a_millisecond(mounting: Mounting, offset_s: float) -> None:
    result = calibrate_time_offset(motion(mounting, offset_s), rng=np.random.default_rng(0))
    assert result.values["offset_s"] == pytest.approx(offset_s, abs=1e-3)
    assert abs(result.values["offset_s"] - offset_s) < 4e-3 * result.figures["std_ms"]
    assert 0.01 < result.figures["std_ms"] < 0.5


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ("clock", "different clocks.*the first picture 1.7e.09 s before the first joints"),
        ("still", "the arm hardly turns"),
        ("regular", "several offsets fit the motion equally well"),
        ("few", "too few pictures with the board in sight"),
        ("backwards", "the stamps of the pictures do not ascend"),
        ("repeated", "the stamps of the joints do not ascend"),
    ],
)
def test_what_tells_no_offset_is_refused(changed: str, message: str) -> None:
    size = 0.02 if changed == "still" else 1.0
    given = motion(
        Mounting.EYE_IN_HAND, 0.02, size=size, regular=changed == "regular", duration_s=3.0
    )
    stamps = given.image_stamps_ns.copy()
    match changed:
        case "clock":
            given = replace(given, image_stamps_ns=stamps - START_NS)
        case "few":
            given = replace(given, image_stamps_ns=stamps[:20], seen=given.seen[:20])
        case "backwards":
            stamps[3] = stamps[2]
            given = replace(given, image_stamps_ns=stamps)
        case "repeated":
            joints = given.pose_stamps_ns.copy()
            joints[7] = joints[6]
            given = replace(given, pose_stamps_ns=joints)
    with pytest.raises(DataError, match=message):
        calibrate_time_offset(given, rng=np.random.default_rng(0), largest_s=1.2)


def test_a_path_goes_through_its_poses_and_knows_its_gaps() -> None:
    times_s = np.concatenate([np.arange(0, 1, 0.02), np.arange(2, 3, 0.02)])
    poses = sway(times_s, seed=1, size=1.0)
    path = ArmPath(START_NS + np.round(1e9 * times_s).astype(np.int64), poses)
    np.testing.assert_allclose(path.at(times_s), poses, atol=1e-9)
    between = times_s[:40] + 0.01
    np.testing.assert_allclose(path.at(between), sway(between, seed=1, size=1.0), atol=3e-4)
    covered = path.covers(np.array([0.01, 0.5, 1.5, 2.5]), margin_s=0.05)
    assert covered.tolist() == [False, True, False, True]
