"""Bundle adjustment of one lens and the board's pose in every frame.

Minimises the Huber cost of all reprojection errors by Levenberg-Marquardt; the poses are eliminated
frame by frame (Schur complement), so that a hundred frames cost little more than one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from calibration.board import Board
from calibration.detection import Detection
from calibration.lens import Lens
from calibration.rigid import cross_matrices, moved

type Array = NDArray[np.floating]

_ROUNDS = 60
_HUBER = 3.0
_DONE = 1e-9


@dataclass(frozen=True, slots=True)
class Bundle:
    """Where the adjustment ended.

    Attributes:
        lens: The lens.
        camera_T_board: (n, 4, 4) [m].
        covariance: (p, p) of `Lens.parameters`.
        residuals: Per frame (m, 2), predicted minus seen [px].
        corner_px: Standard deviation of a corner along each axis [px].
    """

    lens: Lens
    camera_T_board: Array
    covariance: Array
    residuals: tuple[Array, ...]
    corner_px: float

    @property
    def frame_rms_px(self) -> Array:
        """(n,) root mean square distance between predicted and seen corners [px]."""
        return np.array([np.sqrt((r**2).sum(axis=-1).mean()) for r in self.residuals])

    @property
    def rms_px(self) -> float:
        """Over all frames [px]."""
        return float(np.sqrt(np.concatenate([(r**2).sum(axis=-1) for r in self.residuals]).mean()))


def adjust(board: Board, seen: Sequence[Detection], lens: Lens, camera_T_board: Array) -> Bundle:
    """Adjusts lens and poses (n, 4, 4), which begin near the truth, to detections (n,)."""
    frame = np.concatenate([np.full(len(d.ids), i) for i, d in enumerate(seen)])
    points = np.concatenate([board.points[d.ids] for d in seen])
    pixels = np.concatenate([d.pixels for d in seen])
    starts = np.flatnonzero(np.diff(frame, prepend=-1))
    poses, damping = camera_T_board, 1e-4
    r, Jk, Jp = _linearised(lens, poses, frame, points, pixels)
    for _ in range(_ROUNDS):
        scale = _spread_px(r)
        cost = _cost(r, scale)
        normal = _normal_equations(r, Jk, Jp, starts, scale)
        for _ in range(8):
            step, pose_steps = _step(normal, damping)
            trial = replace(lens, parameters=lens.parameters + step)
            trial_poses = moved(poses, pose_steps)
            new_r, new_Jk, new_Jp = _linearised(trial, trial_poses, frame, points, pixels)
            new_cost = _cost(new_r, scale)
            if np.isfinite(new_cost) and new_cost <= cost:
                break
            damping *= 10
        else:
            break
        lens, poses, r, Jk, Jp = trial, trial_poses, new_r, new_Jk, new_Jp
        damping = max(damping / 10, 1e-12)
        if cost - new_cost < _DONE * cost:
            break
    return _finished(lens, poses, r, Jk, Jp, starts)


@dataclass(frozen=True, slots=True)
class _Normal:
    """Normal equations: H, g of the lens; `cross`, `own` and `pose_g` of every pose."""

    H: Array
    g: Array
    cross: Array
    own: Array
    pose_g: Array


def _finished(
    lens: Lens, poses: Array, r: Array, Jk: Array, Jp: Array, starts: NDArray[np.int64]
) -> Bundle:
    scale = _spread_px(r)
    normal = _normal_equations(r, Jk, Jp, starts, scale)
    behind = np.linalg.solve(normal.own, np.swapaxes(normal.cross, -1, -2))
    schur = normal.H - np.einsum("nij,njk->ik", normal.cross, behind)
    weights = _weights(r, scale)
    freedom = max(2 * weights.sum() - 6 * len(poses) - len(lens.parameters), 1.0)
    variance = float((weights[:, None] * r**2).sum() / freedom)
    return Bundle(
        lens,
        poses,
        variance * _inverse(schur),
        tuple(np.split(r, starts[1:])),
        float(np.sqrt(variance)),
    )


def _linearised(
    lens: Lens, poses: Array, frame: NDArray[np.int64], points: Array, pixels: Array
) -> tuple[Array, Array, Array]:
    R = poses[frame, :3, :3]
    there = (R @ points[..., None])[..., 0] + poses[frame, :3, 3]
    predicted, by_point, by_lens = lens.project_with_jacobians(there)
    turn = by_point @ (-R @ cross_matrices(points))
    return predicted - pixels, by_lens, np.concatenate([turn, by_point @ R], axis=-1)


def _normal_equations(
    r: Array, Jk: Array, Jp: Array, starts: NDArray[np.int64], scale: float
) -> _Normal:
    w = _weights(r, scale)[:, None, None]
    H = np.einsum("mki,mkj->ij", w * Jk, Jk)
    g = np.einsum("mki,mk->i", w * Jk, r)
    cross = np.add.reduceat(np.einsum("mki,mkj->mij", w * Jk, Jp), starts, axis=0)
    own = np.add.reduceat(np.einsum("mki,mkj->mij", w * Jp, Jp), starts, axis=0)
    pose_g = np.add.reduceat(np.einsum("mki,mk->mi", w * Jp, r), starts, axis=0)
    return _Normal(H, g, cross, own, pose_g)


def _step(normal: _Normal, damping: float) -> tuple[Array, Array]:
    H, g, cross = normal.H, normal.g, normal.cross
    own = normal.own * (1.0 + damping * np.eye(6)) + 1e-12 * np.eye(6)
    back = np.linalg.solve(own, np.swapaxes(cross, -1, -2))  # (n, 6, p)
    alone = np.linalg.solve(own, normal.pose_g[..., None])[..., 0]
    left = H * (1.0 + damping * np.eye(len(H))) - np.einsum("nij,njk->ik", cross, back)
    right = g - np.einsum("nij,nj->i", cross, alone)
    step = -_inverse(left) @ right
    return step, -(alone + back @ step)


def _inverse(H: Array) -> Array:
    """Of a positive matrix whose rows have scales of their own."""
    scale = 1.0 / np.sqrt(np.maximum(np.diag(H), 1e-300))
    values, vectors = np.linalg.eigh(H * np.outer(scale, scale))
    values = np.maximum(values, 1e-14 * values[-1])
    return np.outer(scale, scale) * ((vectors / values) @ vectors.T)


def _spread_px(r: Array) -> float:
    """Standard deviation along an axis from the median distance (Rayleigh)."""
    return max(float(np.median(np.linalg.norm(r, axis=-1))) / 1.1774, 0.01)


def _weights(r: Array, scale: float) -> Array:
    return np.minimum(1.0, _HUBER * scale / np.maximum(np.linalg.norm(r, axis=-1), 1e-12))


def _cost(r: Array, scale: float) -> float:
    size, limit = np.linalg.norm(r, axis=-1), _HUBER * scale
    return float(np.where(size <= limit, size**2, 2 * limit * size - limit**2).sum())
