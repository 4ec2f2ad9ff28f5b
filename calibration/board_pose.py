"""Where a board is, from one picture of it."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from calibration.board import Board
from calibration.detection import Detection
from calibration.lens import Lens
from calibration.rigid import apply, cross_matrices, moved
from robot_policy.core.geometry import matrix_from_rotvec, transform

type Array = NDArray[np.floating]

_ROUNDS = 12
_DAMPING = 1e-9
_MISTAKABLE = 4.0
"""Ratio of the errors of two poses above which nobody takes the second for the first."""


@dataclass(frozen=True, slots=True)
class BoardPose:
    """A board in front of a camera.

    Attributes:
        camera_T_board: (4, 4) [m].
        residuals_px: (n, 2) predicted minus seen pixels of the corners.
        information: (6, 6) of a step of camera_T_board, for corners that are 1 px wrong.
        other: (4, 4) the second pose that a flat board may be confused with, or None.
    """

    camera_T_board: Array
    residuals_px: Array
    information: Array
    other: Array | None

    @property
    def rms_px(self) -> float:
        """Root mean square of the distances between predicted and seen corners [px]."""
        return float(np.sqrt((self.residuals_px**2).sum(axis=-1).mean()))


def board_pose(board: Board, lens: Lens, seen: Detection) -> BoardPose | None:
    """Finds the pose with the smallest reprojection error, or None if there is none."""
    points = board.points[seen.ids]
    rays = lens.rays(seen.pixels)
    if not np.isfinite(rays).all():
        return None
    starts = _flat_poses(points, rays)
    found = [_refined(points, lens, seen.pixels, start) for start in starts]
    found = sorted((f for f in found if f is not None), key=lambda f: f.rms_px)
    if not found:
        return None
    best = found[0]
    other = found[1].camera_T_board if len(found) > 1 else None
    return BoardPose(best.camera_T_board, best.residuals_px, best.information, other)


def _flat_poses(points: Array, rays: Array) -> list[Array]:
    """The one or two poses of a plane that explain rays (Collins and Bartoli 2014)."""
    middle = points.mean(axis=0)
    try:
        _, rvecs, tvecs, errors = cv2.solvePnPGeneric(
            points - middle, rays, np.eye(3), None, flags=cv2.SOLVEPNP_IPPE
        )
    except cv2.error:
        return []
    if errors is None:  # corners on a line: no plane at all
        return []
    poses = []
    usable = errors.ravel() <= _MISTAKABLE * errors.min() + 1e-9
    for rvec, tvec in zip(rvecs[: usable.sum()], tvecs, strict=False):
        R = matrix_from_rotvec(np.asarray(rvec, dtype=np.float64).ravel())
        pose = transform(R, np.asarray(tvec, dtype=np.float64).ravel() - R @ middle)
        if np.isfinite(pose).all() and apply(pose, points)[:, 2].min() > 0:
            poses.append(pose)
    return poses


def _refined(points: Array, lens: Lens, pixels: Array, start: Array) -> BoardPose | None:
    """Levenberg-Marquardt on the reprojection error, corners far off weighted down (Huber)."""
    pose, damping = start, 1e-3
    residuals, J = _linearised(points, lens, pixels, pose)
    cost = _huber_cost(residuals)
    for _ in range(_ROUNDS):
        weights = huber_weights(residuals)
        JW = J * weights[:, None, None]
        H = np.einsum("nki,nkj->ij", JW, J)
        g = np.einsum("nki,nk->i", JW, residuals)
        step = -np.linalg.solve(H + damping * np.diag(np.diag(H)) + _DAMPING * np.eye(6), g)
        trial = moved(pose, step)
        if apply(trial, points)[:, 2].min() <= 0:
            damping *= 10
            continue
        new_residuals, new_J = _linearised(points, lens, pixels, trial)
        new_cost = _huber_cost(new_residuals)
        if new_cost > cost * (1 + 1e-12):
            damping *= 10
            continue
        done = cost - new_cost < 1e-10 * cost
        pose, residuals, J, cost, damping = trial, new_residuals, new_J, new_cost, damping / 10
        if done:
            break
    if not np.isfinite(cost):
        return None
    JW = J * huber_weights(residuals)[:, None, None]
    return BoardPose(pose, residuals, np.einsum("nki,nkj->ij", JW, J), None)


def _linearised(points: Array, lens: Lens, pixels: Array, pose: Array) -> tuple[Array, Array]:
    predicted, by_point, _ = lens.project_with_jacobians(apply(pose, points))
    R = pose[:3, :3]
    turn = by_point @ (-R @ cross_matrices(points))
    return predicted - pixels, np.concatenate([turn, by_point @ R], axis=-1)


def huber_weights(residuals: Array, *, scale_px: float | None = None) -> Array:
    """Weights (n,) of residuals (n, 2): 1 up to three scales, then falling.

    Args:
        residuals: [px].
        scale_px: Standard deviation along each axis; their own robust spread if None.
    """
    size = np.linalg.norm(residuals, axis=-1)
    scale = _spread_px(residuals) if scale_px is None else scale_px
    return np.minimum(1.0, 3.0 * scale / np.maximum(size, 1e-12))


def _spread_px(residuals: Array) -> float:
    """Standard deviation along an axis from the median distance (Rayleigh)."""
    return max(float(np.median(np.linalg.norm(residuals, axis=-1))) / 1.1774, 0.02)


def _huber_cost(residuals: Array) -> float:
    size = np.linalg.norm(residuals, axis=-1)
    limit = 3.0 * _spread_px(residuals)
    return float(np.where(size <= limit, size**2, 2 * limit * size - limit**2).sum())
