"""The reprojection errors of all pictures around a guess, pose by pose.

Corner P of the board is seen by a camera at

    p = camera_T_parent · G · board_parent_T_board · P,    G = what the arm says (`Mounting`),

and the arm's own error, a step of base_T_gripper, acts inside G. As a pose of the gripper has six
numbers, everything the pictures at one pose say about hand-eye and board goes through six numbers
too: the slip that would explain them best. Per pose that slip, its derivative by the unknowns and
its information remain; what is left of the residuals beyond it tells the noise of the corners, and
about the lenses and several cameras among each other.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calibration.board_pose import huber_weights
from calibration.hand_eye.arm import Arm
from calibration.hand_eye.data import HandEyeData, Mounting
from calibration.hand_eye.unknowns import Layout, Unknowns
from calibration.rigid import cross_matrices, moved
from robot_policy.core.geometry import inverse

type Array = NDArray[np.floating]
type Indices = NDArray[np.int64]

_RIDGE = 1e-9


@dataclass(frozen=True, slots=True)
class Corners:
    """All corners of all pictures, sorted by pose.

    Attributes:
        pose: (M,) pose each was seen at.
        camera: (M,) camera that saw it.
        points: (M, 3) in the board frame [m].
        pixels: (M, 2) where it was seen [px].
    """

    pose: Indices
    camera: Indices
    points: Array
    pixels: Array


@dataclass(frozen=True, slots=True)
class Linearised:
    """What the pictures say around a guess; P unknowns, n poses.

    Attributes:
        slip: (n, 6) slip of the arm that explains the pictures at a pose best.
        slip_by_step: (n, 6, P) its derivative.
        information: (n, 6, 6) of the slip, for corners that are 1 px wrong.
        beyond_H: (P, P) what the rest says about the unknowns, for 1 px.
        beyond_g: (P,) likewise.
        beyond_cost: (n,) sum of squares that no slip explains [px^2].
        corners: (n,) weighted number of corners.
        rms_px: (n,) reprojection error at the guess, slips included [px].
    """

    slip: Array
    slip_by_step: Array
    information: Array
    beyond_H: Array
    beyond_g: Array
    beyond_cost: Array
    corners: Array
    rms_px: Array

    @property
    def sigma_px(self) -> float:
        """Standard deviation of the corners along each axis [px]."""
        freedom = 2.0 * self.corners.sum() - 6.0 * len(self.corners)
        return float(np.sqrt(max(self.beyond_cost.sum(), 1e-6) / max(freedom, 1.0)))


def corners_of(data: HandEyeData) -> Corners:
    """Stacks the detections of all poses, which each must have one."""
    pose: list[int] = []
    camera: list[int] = []
    points: list[Array] = []
    pixels: list[Array] = []
    for i in range(len(data.base_T_gripper)):
        for c, name in enumerate(data.cameras):
            seen = data.detections[name][i]
            if seen is not None:
                pose += [i] * len(seen.ids)
                camera += [c] * len(seen.ids)
                points.append(data.board.points[seen.ids])
                pixels.append(seen.pixels)
    return Corners(np.array(pose), np.array(camera), np.concatenate(points), np.concatenate(pixels))


def linearise(
    corners: Corners, arm: Arm, guess: Unknowns, layout: Layout, *, active: NDArray[np.bool_]
) -> Linearised:
    """Linearises around a guess; poses that are not active say nothing beyond their slip."""
    residuals, J, A = _derivatives(corners, arm, guess, layout)
    weights = _weights(corners, residuals, A, active)
    starts = np.flatnonzero(np.diff(corners.pose, prepend=-1))

    def by_pose(values: Array) -> Array:
        return np.add.reduceat(values, starts, axis=0)

    weighted_A = A * weights[:, None, None]
    N = by_pose(np.einsum("mki,mkj->mij", weighted_A, A))
    N = N + _RIDGE * np.trace(N, axis1=1, axis2=2)[:, None, None] * np.eye(6)
    back = np.einsum("mki,mk->mi", weighted_A, residuals)
    towards = np.linalg.solve(N, by_pose(back)[..., None])[..., 0]
    by_step = np.linalg.solve(N, by_pose(np.einsum("mki,mkj->mij", weighted_A, J)))

    rest = residuals - np.einsum("mki,mi->mk", A, towards[corners.pose])
    rest_J = J - A @ by_step[corners.pose]
    w = weights * active[corners.pose]
    return Linearised(
        slip=guess.slips - towards,
        slip_by_step=-by_step,
        information=N,
        beyond_H=np.einsum("m,mki,mkj->ij", w, rest_J, rest_J),
        beyond_g=np.einsum("m,mki,mk->i", w, rest_J, rest),
        beyond_cost=by_pose(w * (rest**2).sum(axis=-1))[active],
        corners=by_pose(weights)[active],
        rms_px=np.sqrt(by_pose((residuals**2).sum(axis=-1)) / by_pose(np.ones(len(weights)))),
    )


def _weights(corners: Corners, residuals: Array, A: Array, active: NDArray[np.bool_]) -> Array:
    """Huber weights of what no slip explains, so that a bad pose does not spoil its corners."""
    starts = np.flatnonzero(np.diff(corners.pose, prepend=-1))
    N = np.add.reduceat(np.einsum("mki,mkj->mij", A, A), starts, axis=0)
    N = N + _RIDGE * np.trace(N, axis1=1, axis2=2)[:, None, None] * np.eye(6)
    back = np.add.reduceat(np.einsum("mki,mk->mi", A, residuals), starts, axis=0)
    towards = np.linalg.solve(N, back[..., None])[..., 0]
    rest = residuals - np.einsum("mki,mi->mk", A, towards[corners.pose])
    size = np.linalg.norm(rest[active[corners.pose]], axis=-1)
    scale = max(float(np.median(size)) / 1.1774 if len(size) else 1.0, 0.02)
    return huber_weights(rest, scale_px=scale)


def _derivatives(
    corners: Corners, arm: Arm, guess: Unknowns, layout: Layout
) -> tuple[Array, Array, Array]:
    """Residuals (M, 2), their derivatives by the unknowns (M, 2, P) and by the slip (M, 2, 6)."""
    base_T_gripper, by_arm = arm.poses(guess.arm)
    G = layout.mounting.seen_through(moved(base_T_gripper, guess.slips))
    camera_T_parent = inverse(guess.parent_T_cameras)[corners.camera]
    camera_T_board = camera_T_parent @ G[corners.pose] @ guess.parent_T_board
    points = guess.board_scale * corners.points
    seen = _mapped(camera_T_board, points)
    pixels, by_point, by_lens = _project(guess, corners.camera, seen)

    R = camera_T_board[:, :3, :3]
    by_camera = by_point @ _turn_and_shift(cross_matrices(seen), -np.eye(3))
    by_board = by_point @ _turn_and_shift(-R @ cross_matrices(points), R)
    if layout.mounting is Mounting.EYE_IN_HAND:
        on_gripper = _mapped((G @ guess.parent_T_board)[corners.pose], points)
        Q = camera_T_parent[:, :3, :3]
        A = by_point @ _turn_and_shift(Q @ cross_matrices(on_gripper), -Q)
    else:
        on_gripper = _mapped(guess.parent_T_board[None], points)
        Q = (camera_T_parent @ G[corners.pose])[:, :3, :3]
        A = by_point @ _turn_and_shift(-Q @ cross_matrices(on_gripper), Q)

    J = np.zeros((len(points), 2, layout.size))
    for camera in range(len(layout.cameras)):
        rows = corners.camera == camera
        J[rows, :, 6 * camera : 6 * camera + 6] = by_camera[rows]
        if layout.lenses:
            J[rows, :, layout.lens_columns(camera)] = by_lens[camera]
    J[:, :, layout.rigid - 6 : layout.rigid] = by_board
    if layout.arm:
        J[:, :, layout.arm_columns] = A @ by_arm[corners.pose]
    if layout.board_scale:
        J[:, :, -1] = (by_point @ (R @ corners.points[..., None]))[..., 0]
    return pixels - corners.pixels, J, A


def _project(guess: Unknowns, camera: Indices, seen: Array) -> tuple[Array, Array, list[Array]]:
    pixels, by_point = np.zeros((len(seen), 2)), np.zeros((len(seen), 2, 3))
    by_lens: list[Array] = []
    for c, lens in enumerate(guess.lenses):
        rows = camera == c
        if rows.any():
            pixels[rows], by_point[rows], jacobian = lens.project_with_jacobians(seen[rows])
            by_lens.append(jacobian)
        else:
            by_lens.append(np.zeros((0, 2, len(lens.parameters))))
    return pixels, by_point, by_lens


def _mapped(a_T_b: Array, points: Array) -> Array:
    return (a_T_b[:, :3, :3] @ points[..., None])[..., 0] + a_T_b[:, :3, 3]


def _turn_and_shift(turn: Array, shift: Array) -> Array:
    return np.concatenate([turn, np.broadcast_to(shift, turn.shape)], axis=-1)
