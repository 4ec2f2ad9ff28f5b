"""Time, passed in, so that every timing rule is tested without waiting."""

import time
from typing import Protocol


class Clock(Protocol):
    """A source of time that can wait."""

    def now_ns(self) -> int:
        """Returns the time [ns]; never goes back."""
        ...

    def sleep_until_ns(self, t: int) -> None:
        """Returns at `t` [ns], at once if it has passed."""
        ...


class MonotonicClock:
    """The machine's monotonic clock."""

    def now_ns(self) -> int:
        """Returns the monotonic time [ns]."""
        return time.monotonic_ns()

    def sleep_until_ns(self, t: int) -> None:
        """Sleeps until `t` [ns]."""
        remaining = t - time.monotonic_ns()
        if remaining > 0:
            time.sleep(remaining * 1e-9)


class FakeClock:
    """A clock that a test moves by hand; sleeping moves it to the wake-up time."""

    def __init__(self, start_ns: int = 0) -> None:
        self._now_ns = start_ns

    def now_ns(self) -> int:
        """Returns the time it was set to [ns]."""
        return self._now_ns

    def sleep_until_ns(self, t: int) -> None:
        """Jumps to `t` if it lies ahead."""
        self._now_ns = max(self._now_ns, t)

    def advance_ns(self, duration: int) -> None:
        """Moves forward by `duration` [ns]."""
        self._now_ns += duration
