"""Where an arm was at any time, from where it was at some."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.spatial.transform import Rotation, RotationSpline

from calibration.rigid import step_between
from robot_policy.core.errors import DataError
from robot_policy.core.geometry import transform

type Array = NDArray[np.floating]
type Stamps = NDArray[np.int64]

_FEWEST = 8
_LONGEST_GAP_S = 0.25
_DIFFERENCE_S = 0.004


class ArmPath:
    """A smooth motion through measured poses.

    Args:
        stamps_ns: (n,) when, strictly ascending [ns].
        base_T_gripper: (n, 4, 4) where [m].

    Raises:
        DataError: If there are too few poses, or their stamps do not ascend.
    """

    def __init__(self, stamps_ns: Stamps, base_T_gripper: Array) -> None:
        if len(stamps_ns) < _FEWEST:
            raise DataError("too few poses of the arm", expected=_FEWEST, got=len(stamps_ns))
        steps = np.diff(stamps_ns)
        if (steps <= 0).any():
            first = int(np.flatnonzero(steps <= 0)[0]) + 1
            raise DataError(
                "the stamps of the joints do not ascend",
                where=f"sample {first}",
                expected=f"after {stamps_ns[first - 1]}",
                got=int(stamps_ns[first]),
            )
        self.start_ns = int(stamps_ns[0])
        self._times_s = (stamps_ns - stamps_ns[0]) * 1e-9
        self._position = CubicSpline(self._times_s, base_T_gripper[:, :3, 3])
        turns = Rotation.from_matrix(base_T_gripper[:, :3, :3])
        self._rotation = RotationSpline(self._times_s, turns)

    @property
    def duration_s(self) -> float:
        """From the first pose to the last [s]."""
        return float(self._times_s[-1])

    def seconds(self, stamps_ns: Stamps) -> Array:
        """Stamps [ns] as seconds after the first pose."""
        return (stamps_ns - self.start_ns) * 1e-9

    def at(self, times_s: Array) -> Array:
        """base_T_gripper (n, 4, 4) at times (n,) [s] after the first pose."""
        R = self._rotation(times_s).as_matrix()
        return transform(R, np.asarray(self._position(times_s), dtype=np.float64))

    def covers(self, times_s: Array, *, margin_s: float) -> NDArray[np.bool_]:
        """Whether poses lie on both sides, not far away."""
        inside = (times_s >= margin_s) & (times_s <= self.duration_s - margin_s)
        after = np.clip(np.searchsorted(self._times_s, times_s), 1, len(self._times_s) - 1)
        gap = self._times_s[after] - self._times_s[after - 1]
        return inside & (gap <= _LONGEST_GAP_S)


@dataclass(frozen=True, slots=True)
class ShiftedArm:
    """An arm whose pictures are late or early by one unknown time; an `Arm`.

    Attributes:
        path: How it moved.
        times_s: (n,) stamps of the pictures, as seconds of the path.
    """

    path: ArmPath
    times_s: Array
    names: tuple[str, ...] = field(default=("offset_s",), init=False)

    def poses(self, values: Array) -> tuple[Array, Array]:
        """See `Arm`; the derivative is the twist of the gripper."""
        t = self.times_s + values[0]
        here = self.path.at(t)
        ahead, behind = self.path.at(t + _DIFFERENCE_S), self.path.at(t - _DIFFERENCE_S)
        twist = (step_between(here, ahead) - step_between(here, behind)) / (2 * _DIFFERENCE_S)
        return here, twist[..., None]

    def chosen(self, rows: NDArray[np.int64]) -> "ShiftedArm":
        """See `Arm`."""
        return ShiftedArm(self.path, self.times_s[rows])
