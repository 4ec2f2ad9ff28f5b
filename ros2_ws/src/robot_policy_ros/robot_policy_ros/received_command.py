"""What the simulated arm makes of the commands that arrive."""

import numpy as np
from numpy.typing import NDArray

_STALE_PERIODS = 2.5
"""Age at which a command is no longer executed, as the timeout of an arm's servo controller."""


class ReceivedCommand:
    """The newest motion and finger command; says at every step what to execute.

    A motion is the displacement over one control period, so it is executed once by default: an
    arm whose next command is late stands still for that period instead of moving twice as far.

    Args:
        periods: Control periods that one command is executed for.
    """

    def __init__(self, *, periods: int) -> None:
        self._periods = periods
        self.reset(now_ns=0)

    def reset(self, *, now_ns: int) -> None:
        """Opens the gripper and forgets the motion; ignores motions commanded before `now_ns`."""
        self.started = False
        """Whether a motion has been commanded since the reset."""
        self._not_before_ns = now_ns
        self._delta = np.zeros(6)
        self._stamp_ns = 0
        self._left = 0
        self._gripper = 0.0

    def put_motion(self, delta: NDArray[np.float64], *, stamp_ns: int) -> None:
        """Takes a motion (6,) [m, rad] commanded at `stamp_ns`."""
        if stamp_ns < self._not_before_ns:
            return
        self.started = True
        self._delta, self._stamp_ns, self._left = delta, stamp_ns, self._periods

    def put_gripper(self, fraction: float) -> None:
        """Takes a finger command, 0 open .. 1 closed; it stays until the next one."""
        self._gripper = fraction

    def take(self, now_ns: int, *, period_ns: int) -> tuple[NDArray[np.float32], bool]:
        """Returns the action (7,) for this step, and whether it holds for want of a command.

        Args:
            now_ns: Time of the step [ns].
            period_ns: From the step before to this one [ns].
        """
        stale_ns = _STALE_PERIODS * self._periods * period_ns
        fresh = self._left > 0 and now_ns - self._stamp_ns <= stale_ns
        self._left -= 1
        motion = self._delta if fresh else np.zeros(6)
        return np.append(motion, self._gripper).astype(np.float32), not fresh
