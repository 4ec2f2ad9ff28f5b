"""What the simulated arm makes of the commands that arrive. Knows no ROS."""

from collections import deque

import numpy as np
from numpy.typing import NDArray

_STALE_PERIODS = 2.5
"""Age at which a command is no longer executed, as the timeout of an arm's servo controller."""


class ReceivedCommand:
    """The newest motion and gripper command; says at every step what to execute.

    A displacement is what is to be covered in one control period, so it is executed once by
    default: an arm whose next command is late stands still for that period instead of moving
    twice as far. Places are gone to one after the other, one per control period, and the arm stays
    at the last. A new message replaces what is left of the one before.

    Args:
        periods: Control periods that one displacement is executed for.
        size: M, of a motion.
        places: Whether motions are places and not displacements.
    """

    def __init__(self, *, periods: int, size: int = 6, places: bool = False) -> None:
        self._periods = periods
        self._size = size
        self._places = places
        self.reset(now_ns=0)

    def reset(self, *, now_ns: int) -> None:
        """Opens the gripper and forgets the motion; ignores motions commanded before `now_ns`."""
        self.started = False
        """Whether a motion has been commanded since the reset."""
        self._not_before_ns = now_ns
        self._motion = np.zeros(self._size)
        self._next: deque[NDArray[np.floating]] = deque()
        self._stamp_ns = 0
        self._gripper = 0.0

    def put_motion(self, values: NDArray[np.floating], *, stamp_ns: int) -> None:
        """Takes motions (n, M), or one (M,), commanded at `stamp_ns`."""
        if stamp_ns < self._not_before_ns:
            return
        self.started = True
        self._stamp_ns = stamp_ns
        motions = np.atleast_2d(values)
        self._next = deque(motions if self._places else np.repeat(motions, self._periods, axis=0))

    def put_gripper(self, fraction: float, *, stamp_ns: int = 0) -> None:
        """Takes a gripper command, 0 open .. 1 closed; it stays until the next one."""
        del stamp_ns
        self._gripper = fraction

    def take(self, now_ns: int, *, period_ns: int) -> tuple[NDArray[np.float32], bool]:
        """Returns motion and gripper (M + 1,) for this step, and whether a command is missing.

        Args:
            now_ns: Time of the step [ns].
            period_ns: From the step before to this one [ns].
        """
        stale_ns = _STALE_PERIODS * (1 if self._places else self._periods) * period_ns
        in_time = self._places or now_ns - self._stamp_ns <= stale_ns
        fresh = bool(self._next) and in_time
        if self._next:
            self._motion = self._next.popleft()
        if not fresh and not self._places:
            self._motion = np.zeros(self._size)
        return np.append(self._motion, self._gripper).astype(np.float32), not fresh
