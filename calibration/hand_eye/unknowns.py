"""The unknowns of a hand-eye calibration and their order in vectors and covariances."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from calibration.hand_eye.data import Mounting
from calibration.lens import Lens, parameter_names
from calibration.result import transform_parameters
from calibration.rigid import moved

type Array = NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class Unknowns:
    """A guess of everything that is not known.

    Attributes:
        parent_T_cameras: (C, 4, 4) every camera in the frame it is fixed to.
        parent_T_board: (4, 4) the board in the frame it is fixed to.
        lenses: Intrinsics of the cameras.
        arm: (K,) unknowns of the arm.
        slips: (n, 6) how far the gripper really is from where the arm says, as steps of
            base_T_gripper. Not reported: they are what makes one pose disagree with the others.
        board_scale: True size of the board over the stated one.
    """

    parent_T_cameras: Array
    parent_T_board: Array
    lenses: tuple[Lens, ...]
    arm: Array
    slips: Array
    board_scale: float = 1.0


@dataclass(frozen=True, slots=True)
class Layout:
    """Which unknowns are solved for, in which order.

    Attributes:
        mounting: Gives the frames their names.
        cameras: Names.
        lenses: Whose intrinsics are solved for too; none if empty.
        arm: Names of the arm's unknowns.
        board_scale: Whether the size of the board is solved for.
    """

    mounting: Mounting
    cameras: tuple[str, ...]
    lenses: tuple[Lens, ...] = ()
    arm: tuple[str, ...] = ()
    board_scale: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters, as `CalibrationResult.parameters` has them."""
        parent = self.mounting.camera_parent
        transforms = [f"{parent}_T_{camera}" for camera in self.cameras]
        transforms.append(f"{self.mounting.board_parent}_T_board")
        names = [name for t in transforms for name in transform_parameters(t)]
        for camera, lens in zip(self.cameras, self.lenses, strict=False):
            names += [f"{camera}.{name}" for name in parameter_names(lens.model)]
        names += self.arm
        if self.board_scale:
            names.append("board_scale")
        return tuple(names)

    @property
    def size(self) -> int:
        """Number of parameters."""
        return len(self.names)

    @property
    def rigid(self) -> int:
        """Number of parameters that are transforms; they come first."""
        return 6 * (len(self.cameras) + 1)

    def lens_columns(self, camera: int) -> slice:
        """Columns of the intrinsics of a camera."""
        start = self.rigid + sum(len(lens.parameters) for lens in self.lenses[:camera])
        return slice(start, start + len(self.lenses[camera].parameters))

    @property
    def arm_columns(self) -> slice:
        """Columns of the arm's unknowns."""
        stop = self.size - int(self.board_scale)
        return slice(stop - len(self.arm), stop)

    def moved(self, unknowns: Unknowns, step: Array, slips: Array) -> Unknowns:
        """Adds a step (P,) and sets the slips."""
        cameras = len(self.cameras)
        steps = step[: self.rigid].reshape(-1, 6)
        lenses = list(unknowns.lenses)
        for camera in range(len(self.lenses)):
            lens = lenses[camera]
            parameters = lens.parameters + step[self.lens_columns(camera)]
            lenses[camera] = replace(lens, parameters=parameters)
        return Unknowns(
            parent_T_cameras=moved(unknowns.parent_T_cameras, steps[:cameras]),
            parent_T_board=moved(unknowns.parent_T_board, steps[cameras]),
            lenses=tuple(lenses),
            arm=unknowns.arm + step[self.arm_columns],
            slips=slips,
            board_scale=unknowns.board_scale + (float(step[-1]) if self.board_scale else 0.0),
        )


def unknowns_from(
    start: tuple[Array, Array], lenses: Sequence[Lens], *, poses: int, arm: int
) -> Unknowns:
    """Builds the unknowns out of cameras (C, 4, 4) and board (4, 4), the rest at its default."""
    cameras, board = start
    return Unknowns(cameras, board, tuple(lenses), np.zeros(arm), np.zeros((poses, 6)))
