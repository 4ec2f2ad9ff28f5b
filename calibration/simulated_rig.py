"""A camera, an arm and a board whose truth is known, for tests and benchmarks."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calibration.board import Board
from calibration.detection import MINIMUM_CORNERS, Detection
from calibration.hand_eye.data import HandEyeData, Mounting
from calibration.lens import Lens
from calibration.rigid import apply
from robot_policy.core.geometry import inverse, matrix_from_rotvec, transform

type Array = NDArray[np.floating]

_BORDER_PX = 4.0


@dataclass(frozen=True, slots=True)
class SimulatedRig:
    """What is true.

    Attributes:
        mounting: Where the camera is.
        board: The board.
        lens: The lens.
        parent_T_camera: (4, 4) gripper_T_camera or base_T_camera [m].
        parent_T_board: (4, 4) base_T_board or gripper_T_board [m].
    """

    mounting: Mounting
    board: Board
    lens: Lens
    parent_T_camera: Array
    parent_T_board: Array

    def arm_at(self, camera_T_board: Array) -> Array:
        """base_T_gripper (..., 4, 4) at which the camera sees the board there."""
        G = self.parent_T_camera @ camera_T_board @ inverse(self.parent_T_board)
        return self.mounting.seen_through(G)

    def view_at(self, base_T_gripper: Array) -> Array:
        """camera_T_board (..., 4, 4) that the arm's pose leads to."""
        G = self.mounting.seen_through(base_T_gripper)
        return inverse(self.parent_T_camera) @ G @ self.parent_T_board

    def data(
        self,
        base_T_gripper: Array,
        seen: Sequence[Detection | None],
        *,
        joints: Array | None = None,
    ) -> HandEyeData:
        """What a calibration is given: poses as the arm says, and detections."""
        return HandEyeData(
            self.mounting,
            self.board,
            {"camera": self.lens},
            base_T_gripper,
            {"camera": seen},
            tuple(f"pose {i}" for i in range(len(seen))),
            joints,
        )


def random_rig(
    mounting: Mounting, board: Board, lens: Lens, rng: np.random.Generator
) -> SimulatedRig:
    """A rig of the size of a table-top arm; cameras and boards sit anywhere, turned anyhow."""
    near = transform(matrix_from_rotvec(0.8 * rng.normal(size=3)), 0.06 * rng.normal(size=3))
    turn = matrix_from_rotvec(rng.normal(size=3))
    far = transform(turn, np.array([0.6, 0.0, 0.2]) + 0.2 * rng.normal(size=3))
    in_hand = mounting is Mounting.EYE_IN_HAND
    camera, on = (near, far) if in_hand else (far, near)
    return SimulatedRig(mounting, board, lens, camera, on)


def diverse_views(
    board: Board,
    count: int,
    rng: np.random.Generator,
    *,
    distance_m: tuple[float, float] = (0.35, 0.6),
    tilt_rad: tuple[float, float] = (0.15, 0.7),
    roll_rad: float = 1.2,
    aside: float = 0.12,
) -> Array:
    """camera_T_board (count, 4, 4) [m], the middle of the board near the middle of the picture.

    Args:
        board: The board.
        count: Number of views.
        rng: Draws them.
        distance_m: Of the middle of the board [m].
        tilt_rad: Of the board out of the picture's plane, any direction [rad].
        roll_rad: Largest turn in the picture's plane [rad].
        aside: Largest shift sideways, over the distance.
    """
    around, tilt = rng.uniform(0, 2 * np.pi, count), rng.uniform(*tilt_rad, count)
    axis = np.stack([np.cos(around), np.sin(around), np.zeros(count)], axis=-1)
    roll = np.stack([*np.zeros((2, count)), rng.uniform(-roll_rad, roll_rad, count)], axis=-1)
    R = matrix_from_rotvec(tilt[:, None] * axis) @ matrix_from_rotvec(roll)
    distance = rng.uniform(*distance_m, count)
    side = rng.uniform(-aside, aside, (count, 2)) * distance[:, None]
    middle = np.array([*board.size_m, 0.0]) / 2
    return transform(R, np.concatenate([side, distance[:, None]], axis=-1) - R @ middle)


def ideal_detections(
    board: Board,
    lens: Lens,
    camera_T_board: Array,
    rng: np.random.Generator,
    *,
    noise_px: float,
) -> list[Detection | None]:
    """Corners where they project to, with noise; those outside the picture are missing."""
    seen: list[Detection | None] = []
    for view in camera_T_board:
        pixels = lens.project(apply(view, board.points))
        pixels = pixels + noise_px * rng.normal(size=pixels.shape)
        limits = np.array([lens.width, lens.height]) - 1 - _BORDER_PX
        ids = np.flatnonzero(((pixels > _BORDER_PX) & (pixels < limits)).all(axis=-1))
        enough = len(ids) >= MINIMUM_CORNERS
        seen.append(Detection(ids, pixels[ids]) if enough else None)
    return seen
