"""Whether an arm stands still."""

from collections import deque

import numpy as np
from numpy.typing import NDArray

type Array = NDArray[np.floating]

_WINDOW_S = 0.25
_RANGE_RAD = 0.0015
"""A millimetre at two thirds of a metre."""
_SPEED_RAD_S = 0.01


class Stillness:
    """Looks back over a window in which no joint may have moved, nor been fast.

    Positions alone would take an arm for still that creeps, or turns round; velocities alone one
    whose driver reports none.

    Args:
        window_s: How long it must have been still [s].
        range_rad: How far a joint may wander meanwhile [rad].
        speed_rad_s: How fast it may be [rad/s], where velocities are known.
    """

    def __init__(
        self,
        *,
        window_s: float = _WINDOW_S,
        range_rad: float = _RANGE_RAD,
        speed_rad_s: float = _SPEED_RAD_S,
    ) -> None:
        self._window_ns = round(window_s * 1e9)
        self._range_rad = range_rad
        self._speed_rad_s = speed_rad_s
        self._kept: deque[tuple[int, Array]] = deque()

    def reset(self) -> None:
        """Forgets what was, because the arm is about to move."""
        self._kept.clear()

    def put(self, stamp_ns: int, joints: Array, velocities: Array | None = None) -> bool:
        """Adds a reading, and says whether the arm has stood still for the whole window.

        Args:
            stamp_ns: When it was measured [ns].
            joints: (J,) [rad].
            velocities: (J,) [rad/s], None if unknown.
        """
        if velocities is not None and np.abs(velocities).max(initial=0.0) > self._speed_rad_s:
            self._kept.clear()
            return False
        if self._kept and stamp_ns < self._kept[-1][0]:
            self._kept.clear()  # the clock was set back
        self._kept.append((stamp_ns, np.asarray(joints)))
        while len(self._kept) > 1 and self._kept[1][0] <= stamp_ns - self._window_ns:
            self._kept.popleft()
        seen = np.stack([joints for _, joints in self._kept])
        wanders = (seen.max(axis=0) - seen.min(axis=0)).max(initial=0.0)
        return bool(self.lasted_s >= 1e-9 * self._window_ns and wanders <= self._range_rad)

    @property
    def lasted_s(self) -> float:
        """Time that the window covers so far [s]."""
        return 1e-9 * (self._kept[-1][0] - self._kept[0][0]) if self._kept else 0.0
