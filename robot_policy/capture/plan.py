"""Poses that teach a calibration much, that the arm reaches, and from which the board is seen."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calibration.board import BoardKind
from calibration.simulated_rig import diverse_views
from robot_policy.capture.reach import Reach, Target
from robot_policy.capture.sighting import Guess, Viewer
from robot_policy.core.geometry import matrix_from_rotvec, transform

type Array = NDArray[np.floating]

_EXPLORING_RAD = np.deg2rad(14.0)
_TURNS = (
    (1.0, 0.0, 0.5),
    (0.0, 1.0, -0.5),
    (-1.0, 0.0, 0.5),
    (0.0, -1.0, -0.5),
    (0.6, 0.6, 1.0),
    (-0.6, 0.6, -1.0),
    (0.4, -0.4, 0.7),
    (-0.4, -0.4, -0.7),
)
_FILLS = (0.45, 0.85)
"""Part of the picture's shorter side that the diagonal of the board takes up."""
_TILTS_RAD, _ROLL_RAD = (0.05, 0.85), 1.2
_CAREFUL_TILTS_RAD, _CAREFUL_ROLL_RAD = (0.05, 0.6), 0.5
"""Of an arm whose joints may wander: smaller turns keep them in the middle of their ranges."""
_LEAST_MODULE_PX, _LEAST_SQUARE_PX = 2.5, 10.0
"""Sides of a marker's modules, or of a checkerboard's squares, that detectors still read tilted."""
_NEARER = 0.75
_ASIDE = 0.22
_CANDIDATES = 250
_M_PER_RAD = 0.4
"""A shift of so much counts like a turn of one radian."""
_LEAST_APART_RAD = 0.08


def exploring(base_T_gripper: Array) -> list[Array]:
    """Returns small turns of the gripper (4, 4), about several axes, that keep a board in sight.

    They are what can be done before it is known where camera and board are.
    """
    R, place = base_T_gripper[:3, :3], base_T_gripper[:3, 3]
    turns = _EXPLORING_RAD * np.array(_TURNS)
    return [transform(R @ matrix_from_rotvec(turn), place) for turn in turns]


@dataclass(frozen=True, slots=True, eq=False)
class Planner:
    """Chooses where to look from.

    Attributes:
        reach: Of the arm.
        viewer: The camera and its board.
    """

    reach: Reach
    viewer: Viewer

    def targets(
        self,
        guess: Guess,
        taken: Sequence[Array],
        near: Array,
        count: int,
        rng: np.random.Generator,
    ) -> list[Target]:
        """Returns targets that differ from each other and from the poses there are.

        Each is as far as possible from all others, so that the first ones matter most.

        Args:
            guess: Where camera and board are.
            taken: base_T_gripper (4, 4) of the samples so far; views are rolled about the first.
            near: (J,) joints to search from [rad].
            count: How many are wanted; fewer where fewer are found.
            rng: Draws the candidates.
        """
        views = self._views(guess, taken[0], rng)
        found = [
            target
            for target in self.reach.targets(self.viewer.arm_at(guess, views), near)
            # From where the arm really comes to, which may be elsewhere.
            if self.viewer.sees(self.viewer.view_at(guess, target.base_T_ee))
        ]
        return farthest(found, taken, count)

    def _views(self, guess: Guess, first: Array, rng: np.random.Generator) -> Array:
        """camera_T_board (n, 4, 4), rolled to both sides of how the board was seen first."""
        viewer, careful = self.viewer, self.reach.wanders
        near, far = distances(viewer)
        views = diverse_views(
            viewer.board,
            _CANDIDATES,
            rng,
            distance_m=(near, far),
            tilt_rad=_CAREFUL_TILTS_RAD if careful else _TILTS_RAD,
            roll_rad=_CAREFUL_ROLL_RAD if careful else _ROLL_RAD,
            aside=_ASIDE,
        )
        R = viewer.view_at(guess, first)[:3, :3]
        roll = np.arctan2(R[1, 0] - R[0, 1], R[0, 0] + R[1, 1])
        return transform(matrix_from_rotvec(np.array([0.0, 0.0, roll])), np.zeros(3)) @ views


def distances(viewer: Viewer) -> tuple[float, float]:
    """Returns the distances between which a board is large enough in a picture, and all in it [m].

    Beyond, its finest marks are too few pixels wide to be read.
    """
    board, focal_px = viewer.board, float(viewer.lens.parameters[0])
    side_px = min(viewer.lens.width, viewer.lens.height)
    near, far = (
        float(np.hypot(*board.size_m)) * focal_px / (part * side_px) for part in reversed(_FILLS)
    )
    if board.kind is BoardKind.CHECKERBOARD:
        readable = focal_px * board.square_m / _LEAST_SQUARE_PX
    else:
        modules = board.marker_dictionary().markerSize + 2
        readable = focal_px * board.marker_m / modules / _LEAST_MODULE_PX
    far = min(far, readable)
    return min(near, _NEARER * far), far


def farthest(found: Sequence[Target], taken: Sequence[Array], count: int) -> list[Target]:
    """Chooses targets one by one, each as far as possible from what there is by then."""
    left = list(found)
    nearest = np.array([min(apart(t.base_T_ee, pose) for pose in taken) for t in left])
    chosen: list[Target] = []
    while left and len(chosen) < count:
        best = int(nearest.argmax())
        if nearest[best] < _LEAST_APART_RAD:
            break
        chosen.append(left.pop(best))
        nearest = np.delete(nearest, best)
        if left:
            added = [apart(t.base_T_ee, chosen[-1].base_T_ee) for t in left]
            nearest = np.minimum(nearest, added)
    return chosen


def nearest_first(targets: Sequence[Target], base_T_ee: Array) -> list[Target]:
    """Returns targets by their distance from a pose."""
    return sorted(targets, key=lambda target: apart(target.base_T_ee, base_T_ee))


def apart(base_T_a: Array, base_T_b: Array) -> float:
    """Turn [rad] and shift between two poses, as one number."""
    cosine = (np.trace(base_T_a[:3, :3].T @ base_T_b[:3, :3]) - 1.0) / 2.0
    shift_m = float(np.linalg.norm(base_T_a[:3, 3] - base_T_b[:3, 3]))
    return float(np.arccos(np.clip(cosine, -1.0, 1.0))) + shift_m / _M_PER_RAD
