"""Counters of the control loop, for diagnostics."""

from collections import Counter, deque

import numpy as np

from robot_policy.runtime.planning import Plan
from robot_policy.runtime.quantiles import Quantiles
from robot_policy.runtime.ticker import Tick

_WINDOW = 200
"""Decisions that rate and latency are computed over: ten seconds at 20 Hz."""

LATENESS_EDGES_MS = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
_LATENESS = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999, "max": 1.0}


class LoopStatistics:
    """What happened since the last reset. Written by the control thread, read by any.

    Its memory does not grow.

    Attributes:
        decisions: Commands that the agent decided upon.
        starved: Of these, those that held the arm because there was no action for now.
        late: Decisions that took longer than a control period.
        holds: Commands that held the arm instead of a decision.
        limited: Decisions that the safety filter changed.
        plans: Plans that arrived.
        ticks: Deadlines at which the loop woke up, at the pace of the clock.
        missed: Deadlines that had passed when it woke up.
        lateness_ms: From a deadline to the wake-up [ms].
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Starts to count anew."""
        self.decisions = 0
        self.starved = 0
        self.late = 0
        self.holds = 0
        self.limited = 0
        self.plans = 0
        self.ticks = 0
        self.missed = 0
        self.lateness_ms = Quantiles()
        self._reasons: Counter[str] = Counter()
        self._steering: Counter[str] = Counter()
        self._times_ns: deque[int] = deque(maxlen=_WINDOW)
        self._planning_ms: deque[float] = deque(maxlen=_WINDOW)
        self._spreads: deque[float] = deque(maxlen=_WINDOW)
        self._value_spreads: deque[float] = deque(maxlen=_WINDOW)

    def ticked(self, tick: Tick) -> None:
        """Counts a wake-up of the control thread."""
        self.ticks += 1
        self.missed += tick.missed
        self.lateness_ms.add(tick.lateness_ns * 1e-6)

    def decided(self, now_ns: int, *, late: bool, held: bool) -> None:
        """Counts a decision; `held` where there was nothing to execute."""
        self.decisions += 1
        self.starved += held
        self.late += late
        self._times_ns.append(now_ns)

    def planned(self, plan: Plan) -> None:
        """Counts a plan that arrived."""
        self.plans += 1
        self._planning_ms.append(plan.duration_ns * 1e-6)
        if plan.candidate_spread is not None:
            self._spreads.append(plan.candidate_spread)
        for record in plan.steering:
            self._steering.update(record.labels)
            self._value_spreads.append(record.spread)

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
            "starved decisions": str(self.starved),
            "holds": str(self.holds),
            "limited actions": str(self.limited),
            "plans": str(self.plans),
        }
        if self.ticks:
            values |= {"ticks": str(self.ticks), "missed ticks": str(self.missed)}
            for name, q in _LATENESS.items():
                values[f"lateness {name} [ms]"] = f"{self.lateness_ms.quantile(q) or 0.0:.3f}"
            counts = self.lateness_ms.histogram(LATENESS_EDGES_MS)
            values["lateness histogram [ms]"] = ", ".join(
                f"{name} {count}"
                for name, count in zip(
                    [*(f"<={edge:g}:" for edge in LATENESS_EDGES_MS), "more:"], counts, strict=True
                )
            )
        if planning:
            p50, p99 = np.percentile(planning, [50, 99])
            values |= {"planning p50 [ms]": f"{p50:.2f}", "planning p99 [ms]": f"{p99:.2f}"}
        spreads = (("candidate spread", self._spreads), ("value spread", self._value_spreads))
        for name, found in spreads:
            if found:
                values[f"{name} p50"] = f"{np.median(list(found)):.4g}"
        counted = (("limited", self._reasons.copy()), ("steering", self._steering.copy()))
        for kind, counts in counted:
            values |= {f"{kind}: {name}": str(n) for name, n in sorted(counts.items())}
        return values
