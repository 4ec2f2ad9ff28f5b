"""A first guess of the offset from how fast camera and arm turn.

The angle by which the board turns in the picture between two frames is the angle by which the arm
turned in between, wherever the camera sits. So two angles per pair of frames are compared at every
offset that is possible, and nothing else has to be known.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calibration.time_offset.arm_path import ArmPath
from robot_policy.core.geometry import rotvec_from_matrix

type Array = NDArray[np.floating]

_STEP_S = 0.004
_APART_S = 0.06
"""Offsets closer than this are the same hill."""


@dataclass(frozen=True, slots=True)
class RoughOffset:
    """What the angles say.

    Attributes:
        offset_s: Best offset [s].
        misfit_rad: Typical difference of the angles there [rad].
        rival_misfit_rad: Likewise at the next best offset that is another one [rad].
        speed_rad_s: How fast the arm turns, root mean square [rad/s].
    """

    offset_s: float
    misfit_rad: float
    rival_misfit_rad: float
    speed_rad_s: float


def rough_offset(
    path: ArmPath, times_s: Array, camera_R_board: Array, *, span: int, largest_s: float
) -> RoughOffset | None:
    """Compares angles at all offsets up to `largest_s`.

    Args:
        path: How the arm moved.
        times_s: (n,) of the pictures, ascending, as seconds of the path.
        camera_R_board: (n, 3, 3) how the board is turned in them.
        span: Number of pictures between the two of a pair.
        largest_s: How far clocks may be apart [s].

    Returns:
        None if no offset makes pictures and path overlap enough.
    """
    first, second = times_s[:-span], times_s[span:]
    near = second - first < 3 * span * float(np.median(np.diff(times_s)))
    first, second = first[near], second[near]
    seen = _angles(camera_R_board[:-span][near], camera_R_board[span:][near])
    offsets = np.arange(-largest_s, largest_s + _STEP_S / 2, _STEP_S)
    grid_s = _STEP_S / 2
    grid = np.arange(0.0, path.duration_s, grid_s)
    R = path.at(grid)[:, :3, :3]
    misfits = np.full(len(offsets), np.inf)
    for k, offset in enumerate(offsets):
        rows = np.round((np.stack([first, second]) + offset) / grid_s).astype(int)
        inside = (rows >= 0).all(axis=0) & (rows < len(grid)).all(axis=0)
        if inside.sum() >= max(10, 0.5 * len(seen)):
            turned = _angles(R[rows[0, inside]], R[rows[1, inside]])
            misfits[k] = float(np.abs(turned - seen[inside]).mean())
    if not np.isfinite(misfits).any():
        return None
    best = int(misfits.argmin())
    elsewhere = np.abs(offsets - offsets[best]) > _APART_S
    rivals = misfits[elsewhere & _is_valley(misfits)]
    return RoughOffset(
        offset_s=_vertex(offsets, misfits, best),
        misfit_rad=float(misfits[best]),
        rival_misfit_rad=float(rivals.min()) if len(rivals) else np.inf,
        speed_rad_s=_speed(R, grid_s),
    )


def _angles(a: Array, b: Array) -> Array:
    return np.linalg.norm(rotvec_from_matrix(np.swapaxes(a, -1, -2) @ b), axis=-1)


def _is_valley(values: Array) -> NDArray[np.bool_]:
    padded = np.concatenate([[np.inf], values, [np.inf]])
    return (values <= padded[:-2]) & (values <= padded[2:])


def _vertex(offsets: Array, misfits: Array, best: int) -> float:
    """Between the steps: where the lines on both sides would meet if they were equally steep."""
    if not 0 < best < len(offsets) - 1:
        return float(offsets[best])
    left, here, right = misfits[best - 1 : best + 2]
    steepest = max(left - here, right - here)
    if not np.isfinite(steepest) or steepest <= 0:
        return float(offsets[best])
    return float(offsets[best] + 0.5 * _STEP_S * (left - right) / steepest)


def _speed(R: Array, step_s: float) -> float:
    every = max(1, round(0.02 / step_s))
    return float(np.sqrt((_angles(R[:-every], R[every:]) ** 2).mean()) / (every * step_s))
