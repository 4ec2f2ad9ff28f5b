"""What a hand-eye calibration is computed from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from calibration.board import Board
from calibration.detection import Detection
from calibration.lens import Lens
from robot_policy.core.errors import DataError
from robot_policy.core.geometry import inverse

type Array = NDArray[np.floating]


class Mounting(StrEnum):
    """Where the camera is.

    EYE_IN_HAND: on the gripper, the board stands still: finds gripper_T_camera and base_T_board.
    EYE_TO_HAND: stands still, the gripper holds the board: base_T_camera and gripper_T_board.
    """

    EYE_IN_HAND = "eye_in_hand"
    EYE_TO_HAND = "eye_to_hand"

    @property
    def other(self) -> "Mounting":
        """The other one."""
        eye_in_hand = self is Mounting.EYE_IN_HAND
        return Mounting.EYE_TO_HAND if eye_in_hand else Mounting.EYE_IN_HAND

    @property
    def camera_parent(self) -> str:
        """Frame that the camera is fixed to."""
        return "gripper" if self is Mounting.EYE_IN_HAND else "base"

    @property
    def board_parent(self) -> str:
        """Frame that the board is fixed to."""
        return "base" if self is Mounting.EYE_IN_HAND else "gripper"

    def seen_through(self, base_T_gripper: Array) -> Array:
        """What the arm says of the two parents: camera_parent_T_board_parent, (..., 4, 4)."""
        eye_in_hand = self is Mounting.EYE_IN_HAND
        return inverse(base_T_gripper) if eye_in_hand else np.asarray(base_T_gripper)


@dataclass(frozen=True, slots=True)
class HandEyeData:
    """Poses of the arm and what each camera saw there.

    Attributes:
        mounting: Where the cameras are.
        board: What they look at; the same board for all of them.
        lenses: By camera.
        base_T_gripper: (n, 4, 4) [m].
        detections: By camera, one per pose, None where the board was not seen.
        labels: (n,) what to call each pose to a person.
        joints: (n, J) positions [rad], or None.
    """

    mounting: Mounting
    board: Board
    lenses: Mapping[str, Lens]
    base_T_gripper: Array
    detections: Mapping[str, Sequence[Detection | None]]
    labels: tuple[str, ...]
    joints: Array | None = None

    def __post_init__(self) -> None:
        n = len(self.base_T_gripper)
        for camera, seen in self.detections.items():
            if len(seen) != n:
                raise DataError("one detection per pose", where=camera, expected=n, got=len(seen))
            if camera not in self.lenses:
                raise DataError("no intrinsics of a camera", where=camera, valid=self.lenses)
        if len(self.labels) != n:
            raise DataError("one label per pose", expected=n, got=len(self.labels))

    @property
    def cameras(self) -> tuple[str, ...]:
        """Names of the cameras."""
        return tuple(self.detections)

    def chosen(self, poses: Sequence[int] | NDArray[np.int64]) -> "HandEyeData":
        """Returns the data of some poses."""
        rows = [int(i) for i in poses]
        return HandEyeData(
            self.mounting,
            self.board,
            self.lenses,
            self.base_T_gripper[rows],
            {camera: [seen[i] for i in rows] for camera, seen in self.detections.items()},
            tuple(self.labels[i] for i in rows),
            None if self.joints is None else self.joints[rows],
        )
