"""The pose that would teach a hand-eye calibration most."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from calibration.board import Board
from calibration.detection import MINIMUM_CORNERS, Detection
from calibration.hand_eye.arm import KnownArm
from calibration.hand_eye.data import HandEyeData
from calibration.hand_eye.linearised import corners_of, linearise
from calibration.hand_eye.refine import Refined
from calibration.hand_eye.unknowns import Layout
from calibration.lens import Lens
from calibration.rigid import apply
from robot_policy.core.geometry import inverse, matrix_from_rotvec, transform

type Array = NDArray[np.floating]

_VIEWS = 8
_TILTS = np.deg2rad([20.0, 40.0])
_DIRECTIONS = 6
_ROLLS = np.deg2rad([-60.0, 60.0])
_STEEPEST = np.cos(np.deg2rad(55.0))
_BORDER_PX = 10.0
_IN_SIGHT = 0.8


@dataclass(frozen=True, slots=True)
class NextPose:
    """A pose worth adding.

    Attributes:
        base_T_gripper: (4, 4) [m].
        std_mm: Standard deviation of the camera's position in its worst direction afterwards [mm].
        std_deg: Likewise of its orientation [deg].
    """

    base_T_gripper: Array
    std_mm: float
    std_deg: float


def next_pose(data: HandEyeData, found: Refined, layout: Layout) -> NextPose | None:
    """Tries poses around those there are, turned about the board, and returns the best one.

    It keeps the board in sight of the first camera; whether the arm can get there it does not know.
    Returns None if no pose keeps the board in sight.
    """
    camera = data.cameras[0]
    lens = found.unknowns.lenses[0]
    views = _views(data, found)
    kept = [(view, seen) for view in views if (seen := _seen(data.board, lens, view)) is not None]
    if not kept:
        return None
    X, Y = found.unknowns.parent_T_cameras[0], found.unknowns.parent_T_board
    G = X @ np.array([view for view, _ in kept]) @ inverse(Y)
    base_T_gripper = data.mounting.seen_through(G)  # its own inverse
    imagined = HandEyeData(
        data.mounting,
        data.board,
        {camera: lens},
        base_T_gripper,
        {camera: [seen for _, seen in kept]},
        ("",) * len(kept),
    )
    cut = Layout(layout.mounting, (camera,))
    guess = replace(
        found.unknowns,
        parent_T_cameras=X[None],
        lenses=(lens,),
        arm=np.zeros(0),
        slips=np.zeros((len(kept), 6)),
    )
    at = linearise(
        corners_of(imagined),
        KnownArm(base_T_gripper),
        guess,
        cut,
        active=np.ones(len(kept), dtype=bool),
    )
    # Camera and board are the first and the last six of the transforms.
    rows = [*range(6), *range(layout.rigid - 6, layout.rigid)]
    known = np.linalg.inv(found.covariance[np.ix_(rows, rows)])
    W = np.linalg.inv(found.noise.covariance(at.information))
    gain = np.einsum("nji,njk,nkl->nil", at.slip_by_step, W, at.slip_by_step, optimize=True)
    after = np.linalg.inv(known + gain)[:, :6, :6]
    best = int(np.linalg.slogdet(after)[1].argmin())
    std_deg, std_m = worst_std(after[best])
    return NextPose(base_T_gripper[best], 1000 * std_m, std_deg)


def worst_std(covariance: Array) -> tuple[float, float]:
    """Standard deviations of a transform in its worst directions [deg], [m], from its (6, 6)."""
    turn, shift = np.linalg.eigvalsh(covariance[:3, :3]), np.linalg.eigvalsh(covariance[3:, 3:])
    return float(np.rad2deg(np.sqrt(turn[-1]))), float(np.sqrt(shift[-1]))


def _views(data: HandEyeData, found: Refined) -> list[Array]:
    """camera_T_board of some poses there are, tilted and rolled about the middle of the board."""
    X, Y = found.unknowns.parent_T_cameras[0], found.unknowns.parent_T_board
    G = data.mounting.seen_through(data.base_T_gripper[found.active])
    there = inverse(X) @ G @ Y
    chosen = there[np.linspace(0, len(there) - 1, min(_VIEWS, len(there))).astype(int)]
    middle = np.array([*data.board.size_m, 0.0]) / 2
    around = np.linspace(0, 2 * np.pi, _DIRECTIONS, endpoint=False)
    turns = [tilt * np.array([np.cos(a), np.sin(a), 0.0]) for tilt in _TILTS for a in around] + [
        np.array([0.0, 0.0, roll]) for roll in _ROLLS
    ]
    views = []
    for view in chosen:
        for turn in turns:
            R = matrix_from_rotvec(turn)
            views.append(view @ transform(R, middle - R @ middle))
    return views


def _seen(board: Board, lens: Lens, camera_T_board: Array) -> Detection | None:
    points = apply(camera_T_board, board.points)
    towards = points.mean(axis=0)
    facing = camera_T_board[:3, 2] @ towards / np.linalg.norm(towards)
    if points[:, 2].min() <= 0 or facing < _STEEPEST:
        return None
    pixels = lens.project(points)
    limits = np.array([lens.width, lens.height]) - _BORDER_PX
    inside = ((pixels > _BORDER_PX) & (pixels < limits)).all(axis=-1)
    if inside.mean() < _IN_SIGHT or inside.sum() < MINIMUM_CORNERS:
        return None
    ids = np.flatnonzero(inside)
    return Detection(ids, pixels[ids])
