"""What the arm says of its gripper, and what may be unknown about it."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

type Array = NDArray[np.floating]


class Arm(Protocol):
    """Poses of the gripper as a function of a few unknown numbers."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the unknowns, units in them."""
        ...

    def poses(self, values: Array) -> tuple[Array, Array]:
        """Returns base_T_gripper (n, 4, 4) and its derivatives (n, 6, K), steps of `rigid`."""
        ...

    def chosen(self, rows: NDArray[np.int64]) -> "Arm":
        """Returns the arm at some of its poses."""
        ...


@dataclass(frozen=True, slots=True)
class KnownArm:
    """An arm without unknowns.

    Attributes:
        base_T_gripper: (n, 4, 4) [m].
    """

    base_T_gripper: Array

    @property
    def names(self) -> tuple[str, ...]:
        """None."""
        return ()

    def poses(self, values: Array) -> tuple[Array, Array]:
        """See `Arm`."""
        del values
        return self.base_T_gripper, np.zeros((len(self.base_T_gripper), 6, 0))

    def chosen(self, rows: NDArray[np.int64]) -> "KnownArm":
        """See `Arm`."""
        return KnownArm(self.base_T_gripper[rows])
