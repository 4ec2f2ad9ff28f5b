"""When the arm must hold, and when holding is not enough. Knows neither ROS nor the time."""

from collections.abc import Sequence
from dataclasses import dataclass

from robot_policy.core.errors import ConfigError
from robot_policy.runtime.worker import WorkerState

_NS = 1e-9


@dataclass(frozen=True, slots=True)
class WatchdogLimits:
    """What a watchdog puts up with.

    Attributes:
        plan_deadline_s: Longest time that a plan may take [s].
        fault_after_s: Time for which the arm holds before a problem becomes a fault [s].
        clock_jump_s: Largest step of the clock of the stamps against the monotonic one between two
            checks [s].
        real_time: Whether the clock of the stamps runs as fast as the monotonic one. A simulated
            clock does not, and of its jumps only those backwards can be told.

    Raises:
        ConfigError: If a limit is not positive.
    """

    plan_deadline_s: float = 1.0
    fault_after_s: float = 1.0
    clock_jump_s: float = 0.2
    real_time: bool = True

    def __post_init__(self) -> None:
        for name in ("plan_deadline_s", "fault_after_s", "clock_jump_s"):
            if not getattr(self, name) > 0:
                raise ConfigError("must be positive", where=name, got=getattr(self, name))


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check came to.

    Attributes:
        problems: Why the arm must hold now, in words; empty where it may move.
        fault: Why holding is not enough any more; None if it is. Stays until `Watchdog.reset`.
    """

    problems: tuple[str, ...] = ()
    fault: str | None = None

    @property
    def may_move(self) -> bool:
        """Whether nothing speaks against moving."""
        return not self.problems and self.fault is None


class Watchdog:
    """Turns what goes wrong into holds, and holds that last into a latched fault.

    An input that is missing, old or not to be used, and a plan that is overdue, mean hold: the arm
    goes on by itself if that ends before `fault_after_s`. An overdue plan is not made good by the
    question after it, only by an answer in time. What cannot mend itself is a fault at
    once: a worker that has died, and a clock that has jumped, because stamps from before and after
    it cannot be compared. Until the arm has moved in an episode, an input that is missing is
    waited for without end.

    Args:
        limits: What to put up with.
    """

    def __init__(self, limits: WatchdogLimits) -> None:
        self.limits = limits
        self.reset()

    def reset(self) -> None:
        """Forgets a fault and everything before it."""
        self._fault: str | None = None
        self._since_ns: int | None = None
        self.unanswered: str | None = None
        """That a plan was overdue, in words, until one comes in time; None while all is well."""
        self._clocks_ns: tuple[int, int] | None = None

    def latch(self, reason: str) -> None:
        """Makes `reason` the fault, unless there is one already."""
        self._fault = self._fault or reason

    def planned(self) -> None:
        """Tells that a plan has come in time."""
        self.unanswered = None

    def check(
        self,
        *,
        now_ns: int,
        stamps_now_ns: int,
        problems: Sequence[str],
        worker: WorkerState,
        moved: bool,
    ) -> Verdict:
        """Judges one moment; to be called once per control period.

        Args:
            now_ns: Monotonic clock [ns].
            stamps_now_ns: Clock of the stamps [ns].
            problems: What is wrong with the inputs, in words.
            worker: Who makes the plans.
            moved: Whether the arm has been moved in this episode.
        """
        self._check_clock(now_ns, stamps_now_ns)
        if worker.died is not None:
            self.latch(worker.died)
        if worker.problem is not None:
            problems = (*problems, worker.problem)
        overdue = self._overdue(worker, now_ns)
        found = (*problems, overdue) if overdue else tuple(problems)
        self.unanswered = overdue or self.unanswered
        lasting = (*problems, self.unanswered) if self.unanswered else tuple(problems)
        self._check_duration(lasting, now_ns, waits=not moved and not self.unanswered)
        return Verdict(found, self._fault)

    def _check_clock(self, now_ns: int, stamps_now_ns: int) -> None:
        before, self._clocks_ns = self._clocks_ns, (now_ns, stamps_now_ns)
        if before is None:
            return
        elapsed_s, stamped_s = (now_ns - before[0]) * _NS, (stamps_now_ns - before[1]) * _NS
        jump_s = stamped_s - elapsed_s if self.limits.real_time else min(stamped_s, 0.0)
        if abs(jump_s) > self.limits.clock_jump_s:
            way = "ahead" if jump_s > 0 else "back"
            self.latch(f"the clock has jumped {way} by {abs(jump_s):.2f} s")

    def _overdue(self, worker: WorkerState, now_ns: int) -> str | None:
        if worker.busy_since_ns is None:
            return None
        busy_s = (now_ns - worker.busy_since_ns) * _NS
        if busy_s <= self.limits.plan_deadline_s:
            return None
        return f"the plan takes longer than {self.limits.plan_deadline_s:g} s"

    def _check_duration(self, found: Sequence[str], now_ns: int, *, waits: bool) -> None:
        if not found or waits:
            self._since_ns = None
            return
        if self._since_ns is None:
            self._since_ns = now_ns
        if (now_ns - self._since_ns) * _NS >= self.limits.fault_after_s:
            self.latch("; ".join(found))
