"""First guesses by OpenCV's closed-form solvers, on all poses and on small random sets of them.

The closed forms know neither pixels nor outliers. Every guess is judged by how well it explains
the better half of the poses, so that one from a clean set wins over one from all.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from calibration.board_pose import BoardPose
from calibration.hand_eye.data import Mounting
from calibration.rigid import mean_rotation, step_between
from robot_policy.core.geometry import inverse, transform

type Array = NDArray[np.floating]
type Indices = NDArray[np.int64]

HAND_EYE_SOLVERS = {
    "tsai": cv2.CALIB_HAND_EYE_TSAI,
    "park": cv2.CALIB_HAND_EYE_PARK,
    "horaud": cv2.CALIB_HAND_EYE_HORAUD,
    "andreff": cv2.CALIB_HAND_EYE_ANDREFF,
    "daniilidis": cv2.CALIB_HAND_EYE_DANIILIDIS,
}
ROBOT_WORLD_SOLVERS = {
    "shah": cv2.CALIB_ROBOT_WORLD_HAND_EYE_SHAH,
    "li": cv2.CALIB_ROBOT_WORLD_HAND_EYE_LI,
}
SOLVERS = (*HAND_EYE_SOLVERS, *ROBOT_WORLD_SOLVERS)
"""OpenCV's solvers by name."""

_MOST = 14
"""Poses that a solver is given: OpenCV's look at all pairs of them."""
_SUBSET = 5
_SUBSETS = 50
_QUICK = "shah"
_ROUGH_RAD = np.deg2rad(0.5)
_ROUGH_M = 0.003
_ROUGH_PX = 0.5


@dataclass(frozen=True, slots=True)
class Start:
    """One guess for one camera.

    Attributes:
        parent_T_camera: (4, 4).
        parent_T_board: (4, 4).
        distances: (n,) squared Mahalanobis distance of every pose, with rough noise.
        solver: Who found it.
    """

    parent_T_camera: Array
    parent_T_board: Array
    distances: Array
    solver: str

    @property
    def score(self) -> float:
        """Mean distance of the better half."""
        n = len(self.distances)
        return float(np.sort(self.distances)[: n // 2 + 1].mean())


def solve_closed_form(
    solver: str, mounting: Mounting, base_T_gripper: Array, camera_T_board: Array
) -> tuple[Array, Array] | None:
    """Runs one of OpenCV's solvers.

    Args:
        solver: One of `SOLVERS`.
        mounting: Where the camera is.
        base_T_gripper: (n, 4, 4).
        camera_T_board: (n, 4, 4).

    Returns:
        parent_T_camera and parent_T_board, or None where it finds none.
    """
    # OpenCV speaks of a camera on the gripper. For one that stands still the base takes the place
    # of the gripper: what it is given is turned around.
    G = mounting.seen_through(base_T_gripper)
    back = inverse(G)
    try:
        if solver in HAND_EYE_SOLVERS:
            R, t = cv2.calibrateHandEye(
                list(back[:, :3, :3]),
                list(back[:, :3, 3]),
                list(camera_T_board[:, :3, :3]),
                list(camera_T_board[:, :3, 3]),
                method=HAND_EYE_SOLVERS[solver],
            )
            camera = _transform(R, t)
            board = None
        else:
            # X of A X = Z B maps base to board, and Z gripper to camera.
            R, t, R_camera, t_camera = cv2.calibrateRobotWorldHandEye(
                list(camera_T_board[:, :3, :3]),
                list(camera_T_board[:, :3, 3]),
                list(G[:, :3, :3]),
                list(G[:, :3, 3]),
                method=ROBOT_WORLD_SOLVERS[solver],
            )
            camera = inverse(_transform(R_camera, t_camera))
            board = inverse(_transform(R, t))
    except (cv2.error, np.linalg.LinAlgError):
        return None
    if not (np.isfinite(camera).all() and abs(np.linalg.det(camera[:3, :3]) - 1) < 1e-3):
        return None
    if board is None or not np.isfinite(board).all():
        board = _board_from(camera, back, camera_T_board)
    return camera, board


def _transform(R: Any, t: Any) -> Array:
    """Out of what OpenCV returns."""
    return transform(np.asarray(R, np.float64), np.asarray(t, np.float64).ravel())


def best_starts(
    mounting: Mounting,
    base_T_gripper: Array,
    sights: Sequence[BoardPose],
    rng: np.random.Generator,
    *,
    subsets: int = _SUBSETS,
    solvers: Sequence[str] = SOLVERS,
) -> list[Start]:
    """Returns guesses for one camera, the best first.

    Args:
        mounting: Where the camera is.
        base_T_gripper: (n, 4, 4) of the poses that the board was seen at.
        sights: (n,) where the board was.
        rng: Draws the random sets.
        subsets: How many.
        solvers: Those to run on poses spread over all.
    """
    seen = _Seen.of(sights)
    board = seen.camera_T_board[0]
    starts: list[Start] = []
    for solver, rows in _attempts(len(sights), rng, subsets, solvers):
        found = solve_closed_form(solver, mounting, base_T_gripper[rows], board[rows])
        if found is not None:
            distances = _distances(mounting, base_T_gripper, seen, *found)
            starts.append(Start(*found, distances, solver))
    return sorted(starts, key=lambda start: start.score)


def _attempts(
    n: int, rng: np.random.Generator, subsets: int, solvers: Sequence[str]
) -> Iterator[tuple[str, Indices]]:
    everything = np.unique(np.linspace(0, n - 1, min(n, _MOST)).astype(int))
    for solver in solvers:
        yield solver, everything
    if n > _SUBSET:
        for _ in range(subsets):
            rows = np.sort(rng.choice(n, _SUBSET, replace=False))
            yield _QUICK, rows


def _board_from(camera: Array, back: Array, camera_T_board: Array) -> Array:
    """The board in its parent, as most pictures see it."""
    boards = back @ camera @ camera_T_board
    return transform(mean_rotation(boards[:, :3, :3]), np.median(boards[:, :3, 3], axis=0))


@dataclass(frozen=True, slots=True)
class _Seen:
    """Where the board was, both poses where two are possible, and how sure that is.

    Attributes:
        camera_T_board: (2, n, 4, 4).
        precision: (n, 6, 6) inverse covariance with rough noise.
    """

    camera_T_board: Array
    precision: Array

    @classmethod
    def of(cls, sights: Sequence[BoardPose]) -> "_Seen":
        first = [sight.camera_T_board for sight in sights]
        other = [s.camera_T_board if s.other is None else s.other for s in sights]
        S = np.diag([_ROUGH_RAD**2] * 3 + [_ROUGH_M**2] * 3)
        information = np.array([sight.information for sight in sights])
        V = S + _ROUGH_PX**2 * np.linalg.inv(information)
        return cls(np.array([first, other]), np.linalg.inv(V))


def _distances(
    mounting: Mounting, base_T_gripper: Array, seen: _Seen, camera: Array, board: Array
) -> Array:
    """How far the board is from where a guess puts it, at every pose."""
    G = mounting.seen_through(base_T_gripper)
    steps = step_between(seen.camera_T_board, inverse(camera) @ G @ board)
    return np.einsum("oni,nij,onj->on", steps, seen.precision, steps).min(axis=0)
