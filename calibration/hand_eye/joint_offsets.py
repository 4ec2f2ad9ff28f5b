"""Joints whose zero is not where the arm believes it is."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from calibration.kinematics import Chain
from calibration.rigid import step_between
from robot_policy.core.geometry import inverse

type Array = NDArray[np.floating]

_STEP_RAD = 1e-4


@dataclass(frozen=True, slots=True)
class OffsetJoints:
    """An arm with unknown joint zeros.

    The first and the last joint of the chain are left alone: turning the base, or the flange, is
    the same as turning the board or the camera with it, so no picture can tell them apart.

    Attributes:
        chain: Its kinematics; where its tip is does not matter.
        positions: (n, J) as the encoders say [rad].
        base_T_gripper: (n, 4, 4) as the arm says [m].
    """

    chain: Chain
    positions: Array
    base_T_gripper: Array
    _tip_T_gripper: Array = field(init=False, repr=False)

    def __post_init__(self) -> None:
        tip_T_gripper = inverse(self.chain.forward(self.positions)) @ self.base_T_gripper
        object.__setattr__(self, "_tip_T_gripper", tip_T_gripper)

    @property
    def names(self) -> tuple[str, ...]:
        """Offsets of all joints but the first and the last."""
        return tuple(f"{name}.offset_rad" for name in self.chain.joints[1:-1])

    def poses(self, values: Array) -> tuple[Array, Array]:
        """See `Arm`; derivatives by central differences."""
        here = self._at(values)
        columns = []
        for k in range(len(values)):
            step = _STEP_RAD * np.eye(len(values))[k]
            ahead, behind = self._at(values + step), self._at(values - step)
            difference = step_between(here, ahead) - step_between(here, behind)
            columns.append(difference / (2 * _STEP_RAD))
        return here, np.stack(columns, axis=-1)

    def chosen(self, rows: NDArray[np.int64]) -> "OffsetJoints":
        """See `Arm`."""
        return OffsetJoints(self.chain, self.positions[rows], self.base_T_gripper[rows])

    def _at(self, values: Array) -> Array:
        positions = self.positions + np.concatenate([[0.0], values, [0.0]])
        return self.chain.forward(positions) @ self._tip_T_gripper
