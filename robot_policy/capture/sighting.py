"""What was seen from where: the board in pictures, and what that says of camera and board."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calibration.board import Board, BoardKind
from calibration.board_pose import BoardPose, board_pose
from calibration.detection import MINIMUM_CORNERS, detect, to_gray
from calibration.hand_eye.data import Mounting
from calibration.hand_eye.starts import best_starts
from calibration.lens import Lens
from calibration.rigid import apply
from calibration.samples import SampleSet, read_image
from robot_policy.core.geometry import inverse

type Array = NDArray[np.floating]

ENOUGH_FOR_A_GUESS = 5
_BORDER_PX = 8.0
_IN_SIGHT = 0.7
_STEEPEST = np.cos(np.deg2rad(60.0))


@dataclass(frozen=True, slots=True, eq=False)
class Sighting:
    """A board seen at a pose of the arm.

    Attributes:
        base_T_gripper: (4, 4) [m].
        board_pose: Where the camera saw the board.
    """

    base_T_gripper: Array
    board_pose: BoardPose

    @property
    def camera_T_board(self) -> Array:  # noqa: N802, a transform
        """(4, 4) [m]."""
        return self.board_pose.camera_T_board


@dataclass(frozen=True, slots=True, eq=False)
class Guess:
    """About where camera and board are; good enough to look from elsewhere.

    Attributes:
        parent_T_camera: (4, 4) in the gripper, or in the base [m].
        parent_T_board: (4, 4) in the base, or in the gripper [m].
    """

    parent_T_camera: Array
    parent_T_board: Array


@dataclass(frozen=True, slots=True, eq=False)
class Viewer:
    """One camera and the board it looks for.

    Attributes:
        mounting: Where the camera is.
        board: The board.
        lens: Intrinsics of the camera.
        known: parent_T_camera (4, 4) where a calibration tells it, else None.
    """

    mounting: Mounting
    board: Board
    lens: Lens
    known: Array | None = None

    def sight(self, base_T_gripper: Array, pixels: NDArray[np.generic]) -> Sighting | None:
        """Looks for the board in a picture."""
        seen = detect(self.board, to_gray(pixels))
        pose = None if seen is None else board_pose(self.board, self.lens, seen)
        return None if pose is None else Sighting(base_T_gripper, pose)

    def sightings(self, taken: SampleSet, camera: str) -> list[Sighting]:
        """Looks for the board in the pictures that a folder holds already."""
        found = [
            self.sight(sample.base_T_gripper, read_image(taken.folder / sample.images[camera]))
            for sample in taken.samples
            if sample.base_T_gripper is not None and camera in sample.images
        ]
        return [sighting for sighting in found if sighting is not None]

    def guess(self, sightings: Sequence[Sighting], rng: np.random.Generator) -> Guess | None:
        """Says about where camera and board are; None while too little was seen."""
        if not sightings:
            return None
        if self.known is not None:
            last = sightings[-1]
            G = self.mounting.seen_through(last.base_T_gripper)
            return Guess(self.known, inverse(G) @ self.known @ last.camera_T_board)
        if len(sightings) < ENOUGH_FOR_A_GUESS:
            return None
        poses = np.array([s.base_T_gripper for s in sightings])
        starts = best_starts(self.mounting, poses, [s.board_pose for s in sightings], rng)
        return Guess(starts[0].parent_T_camera, starts[0].parent_T_board) if starts else None

    def arm_at(self, guess: Guess, camera_T_board: Array) -> Array:
        """Returns base_T_gripper (..., 4, 4) from which the camera sees the board there."""
        G = guess.parent_T_camera @ camera_T_board @ inverse(guess.parent_T_board)
        return self.mounting.seen_through(G)  # its own inverse

    def view_at(self, guess: Guess, base_T_gripper: Array) -> Array:
        """Returns camera_T_board (..., 4, 4) at a pose of the arm."""
        G = self.mounting.seen_through(base_T_gripper)
        return inverse(guess.parent_T_camera) @ G @ guess.parent_T_board

    def carried(self, guess: Guess) -> Array:
        """Returns what goes with the gripper (n, 3), in its frame: camera or corners of a board."""
        if self.mounting is Mounting.EYE_IN_HAND:
            return guess.parent_T_camera[None, :3, 3]
        width_m, height_m = self.board.size_m
        corners = [(0, 0, 0), (width_m, 0, 0), (width_m, height_m, 0), (0, height_m, 0)]
        return apply(guess.parent_T_board, np.array(corners, dtype=np.float64))

    def sees(self, camera_T_board: Array) -> bool:
        """Whether the camera would find the board at a pose (4, 4) in front of it."""
        points = apply(camera_T_board, self.board.points)
        towards = points.mean(axis=0)
        if points[:, 2].min() <= 0.0:
            return False
        if camera_T_board[:3, 2] @ towards / np.linalg.norm(towards) < _STEEPEST:
            return False
        pixels = self.lens.project(points)
        limits = np.array([self.lens.width, self.lens.height]) - 1 - _BORDER_PX
        inside = ((pixels > _BORDER_PX) & (pixels < limits)).all(axis=-1)
        needed = 1.0 if self.board.kind is BoardKind.CHECKERBOARD else _IN_SIGHT
        return bool(inside.mean() >= needed and inside.sum() >= MINIMUM_CORNERS)
