"""How far a camera is from where its calibration says, and whether that is more than chance."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from calibration.hand_eye.calibrate import HandEyeOptions, calibrate_hand_eye
from calibration.hand_eye.data import HandEyeData, Mounting
from calibration.hand_eye.next_pose import worst_std
from calibration.result import CalibrationResult
from calibration.rigid import apply, step_between
from robot_policy.core.errors import DataError
from robot_policy.core.geometry import inverse

type Array = NDArray[np.floating]

_CHANCE = 0.01
"""Probability of a difference that large by chance, below which it is none."""
_SIGMAS = 2.0


class Verdict(StrEnum):
    """What a check comes to.

    HOLDS: The camera is where the calibration says, within the tolerance.
    DRIFTED: It is not, and that is no chance.
    UNDECIDED: The poses do not tell it well enough.
    """

    HOLDS = "holds"
    DRIFTED = "drifted"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far a camera may be off.

    Attributes:
        shift_mm: [mm].
        turn_deg: [deg].
    """

    shift_mm: float = 2.0
    turn_deg: float = 0.3


@dataclass(frozen=True, slots=True)
class Drift:
    """How far a camera is from where its calibration says.

    Attributes:
        shift_mm: Of the camera [mm].
        turn_deg: Of its orientation [deg].
        at_board_mm: What the two together do to the middle of the board, on average [mm].
        std_mm: Standard deviation of the shift in its worst direction, of both calibrations [mm].
        std_deg: Likewise of the turn [deg].
        chance: Probability of such a difference where nothing has moved.
        poses: Used for it.
        leave_one_out_mm: Of the new calibration [mm].
        verdict: What it comes to.
    """

    shift_mm: float
    turn_deg: float
    at_board_mm: float
    std_mm: float
    std_deg: float
    chance: float
    poses: int
    leave_one_out_mm: float
    verdict: Verdict


def stored_camera(stored: CalibrationResult, camera: str) -> tuple[Mounting, str, Array]:
    """Returns mounting, name and transform (4, 4) of a camera in a hand-eye calibration.

    Raises:
        DataError: If it says of no such camera where it is.
    """
    for mounting in Mounting:
        name = f"{mounting.camera_parent}_T_{camera}"
        if name in stored.values:
            return mounting, name, stored.transform(name)
    raise DataError(
        f"says not where camera {camera!r} is",
        where=stored.kind,
        valid=[name for name in stored.values if "_T_" in name],
    )


def measure_drift(
    stored: CalibrationResult,
    data: HandEyeData,
    tolerance: Tolerance,
    *,
    rng: np.random.Generator,
) -> Drift:
    """Calibrates anew from a few poses, and compares.

    Args:
        stored: The calibration in use.
        data: New poses and detections of one camera, whose name is that in `stored`.
        tolerance: How far it may be off.
        rng: As of `calibrate_hand_eye`.

    Raises:
        DataError: If the poses cannot determine it, or `stored` is none of this camera.
    """
    camera = data.cameras[0]
    mounting, name, before = stored_camera(stored, camera)
    if mounting is not data.mounting:
        raise DataError("another mounting", where=name, expected=data.mounting.value)
    found = calibrate_hand_eye(data, HandEyeOptions(suggest_pose=False), rng=rng)
    after = found.transform(name)
    step = step_between(before, after)
    covariance = found.covariance_of(name) + _covariance(stored, name)
    std_deg, std_m = worst_std(covariance)
    chance = float(chi2.sf(step @ np.linalg.solve(covariance, step), df=6))
    shift_mm = 1000 * float(np.linalg.norm(step[3:]))
    turn_deg = float(np.rad2deg(np.linalg.norm(step[:3])))
    return Drift(
        shift_mm=shift_mm,
        turn_deg=turn_deg,
        at_board_mm=_at_board_mm(data, found, before, after),
        std_mm=1000 * std_m,
        std_deg=std_deg,
        chance=chance,
        poses=int(found.figures["poses"]),
        leave_one_out_mm=found.figures["leave_one_out_mm"],
        verdict=_verdict(shift_mm, turn_deg, 1000 * std_m, std_deg, chance, tolerance),
    )


def _verdict(
    shift_mm: float,
    turn_deg: float,
    std_mm: float,
    std_deg: float,
    chance: float,
    tolerance: Tolerance,
) -> Verdict:
    if shift_mm <= tolerance.shift_mm and turn_deg <= tolerance.turn_deg:
        known = _SIGMAS * std_mm <= tolerance.shift_mm and _SIGMAS * std_deg <= tolerance.turn_deg
        return Verdict.HOLDS if known else Verdict.UNDECIDED
    return Verdict.DRIFTED if chance < _CHANCE else Verdict.UNDECIDED


def _covariance(stored: CalibrationResult, name: str) -> Array:
    """(6, 6) of the stored transform; zero where it does not say."""
    if not any(parameter.startswith(f"{name}.") for parameter in stored.parameters):
        return np.zeros((6, 6))
    return stored.covariance_of(name)


def _at_board_mm(data: HandEyeData, found: CalibrationResult, before: Array, after: Array) -> float:
    """How far apart the two put the middle of the board, seen from the poses there are [mm]."""
    board = found.transform(f"{data.mounting.board_parent}_T_board")
    middle = np.array([[*data.board.size_m, 0.0]]) / 2
    G = data.mounting.seen_through(data.base_T_gripper)
    in_parent = np.array([apply(pose @ board, middle)[0] for pose in G])
    moved = apply(before @ inverse(after), in_parent)
    return 1000 * float(np.linalg.norm(moved - in_parent, axis=-1).mean())
