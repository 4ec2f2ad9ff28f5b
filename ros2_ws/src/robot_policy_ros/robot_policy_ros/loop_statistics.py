"""Counters of the control loop, for diagnostics."""

from collections import Counter, deque

import numpy as np

_WINDOW = 200
"""Decisions that rate and latency are computed over: ten seconds at 20 Hz."""


class LoopStatistics:
    """What happened since the last reset. Written by the control thread, read by any.

    Attributes:
        decisions: Commands that the agent decided upon.
        late: Decisions that took longer than a control period.
        holds: Commands that held the arm instead.
        limited: Decisions that the safety filter changed.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Starts to count anew."""
        self.decisions = 0
        self.late = 0
        self.holds = 0
        self.limited = 0
        self._reasons: Counter[str] = Counter()
        self._times_ns: deque[int] = deque(maxlen=_WINDOW)
        self._planning_ms: deque[float] = deque(maxlen=_WINDOW)

    def decided(self, now_ns: int, *, late: bool, planning_ns: int | None) -> None:
        """Counts a decision; `planning_ns` is None where the policy was not asked."""
        self.decisions += 1
        self.late += late
        self._times_ns.append(now_ns)
        if planning_ns is not None:
            self._planning_ms.append(planning_ns * 1e-6)

    def limit(self, reasons: tuple[str, ...]) -> None:
        """Counts a decision that the safety filter changed."""
        self.limited += 1
        self._reasons.update(reasons)

    def values(self) -> dict[str, str]:
        """Names and values, as diagnostics show them."""
        times, planning = list(self._times_ns), list(self._planning_ms)
        span_s = (times[-1] - times[0]) * 1e-9 if len(times) > 1 else 0.0
        values = {
            "decisions": str(self.decisions),
            "rate [Hz]": f"{(len(times) - 1) / span_s:.2f}" if span_s > 0 else "",
            "late decisions": str(self.late),
            "holds": str(self.holds),
            "limited actions": str(self.limited),
        }
        if planning:
            p50, p99 = np.percentile(planning, [50, 99])
            values |= {"planning p50 [ms]": f"{p50:.2f}", "planning p99 [ms]": f"{p99:.2f}"}
        reasons = self._reasons.copy()
        return values | {f"limited: {reason}": str(n) for reason, n in sorted(reasons.items())}
