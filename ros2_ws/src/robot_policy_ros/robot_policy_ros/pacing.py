"""What a control step waits for, and which observations it picks."""

from enum import StrEnum


class Pace(StrEnum):
    """What a control step waits for.

    CLOCK: The next deadline of the control rate, with the newest observation of that moment. For
        arms, whose time does not wait.
    OBSERVATIONS: A new observation, at the control rate at most. For simulations, whose time may
        pass more slowly than the clock's.
    """

    CLOCK = "clock"
    OBSERVATIONS = "observations"


class Pacer:
    """Picks observations at the control rate, and none that was measured before the last command.

    The second rule keeps a slow decision from being followed at once by another one, on an
    observation that does not show its effect yet: the arm would execute only the later of the
    two. So a decision that takes longer than a period costs a period, and nothing queues up.

    Args:
        period_ns: Control period [ns].
    """

    def __init__(self, period_ns: int) -> None:
        self.period_ns = period_ns
        # Stamps of a stream at just the control rate jitter; none of it may be skipped for that.
        self._slack_ns = period_ns // 4
        self._due_ns = 0
        self._sent_ns = 0

    def reset(self) -> None:
        """The next observation is due, whenever it comes."""
        self._due_ns = 0
        self._sent_ns = 0

    def due(self, stamp_ns: int) -> bool:
        """Whether to decide upon the observation measured at `stamp_ns`."""
        return stamp_ns > self._sent_ns and stamp_ns >= self._due_ns - self._slack_ns

    def decided(self, stamp_ns: int, *, sent_ns: int) -> None:
        """Notes that the observation of `stamp_ns` led to a command at `sent_ns`."""
        low, high = stamp_ns - self._slack_ns, stamp_ns + self._slack_ns
        self._due_ns = min(max(self._due_ns, low), high) + self.period_ns
        self._sent_ns = sent_ns
