"""A control rate that nothing else sets: absolute deadlines, and how well they are kept."""

import os
from dataclasses import dataclass

from robot_policy.runtime.clock import Clock


@dataclass(frozen=True, slots=True)
class Tick:
    """One wake-up.

    Attributes:
        lateness_ns: From the deadline to the wake-up [ns].
        missed: Deadlines that had passed meanwhile, and are not made up for.
    """

    lateness_ns: int
    missed: int


class Ticker:
    """Waits for one deadline after the other, each a period after the one before.

    A late wake-up does not move the next deadline, so that the rate stays what it is. After a gap
    of more than a period the deadlines in it are left out: an arm must not get in a burst what it
    did not get in time.

    Args:
        period_ns: Control period [ns].
        clock: What time it is.
    """

    def __init__(self, period_ns: int, clock: Clock) -> None:
        self.period_ns = period_ns
        self._clock = clock
        self._deadline_ns = 0

    def start(self) -> None:
        """The first deadline is a period from now."""
        self._deadline_ns = self._clock.now_ns()

    def wait(self) -> Tick:
        """Returns at the next deadline, or at once if it has passed."""
        self._deadline_ns += self.period_ns
        self._clock.sleep_until_ns(self._deadline_ns)
        lateness_ns = self._clock.now_ns() - self._deadline_ns
        missed = max(lateness_ns, 0) // self.period_ns
        self._deadline_ns += missed * self.period_ns
        return Tick(lateness_ns, missed)


def ask_for_priority(priority: int) -> bool:
    """Lets this thread come before all others that have no real-time priority of their own.

    Args:
        priority: 1 to 99 of the scheduler's FIFO class.

    Returns:
        Whether the system granted it. It mostly wants ``CAP_SYS_NICE`` or an rtprio limit.
    """
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(priority))
    except OSError:
        return False
    return True
