"""Who makes plans while the control loop goes on."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from robot_policy.core.errors import RobotPolicyError
from robot_policy.core.specs import PolicySpec
from robot_policy.runtime.planning import Plan, PlanRequest


class WorkerDiedError(RobotPolicyError):
    """No plan will ever come: the process that makes them has ended."""


@dataclass(frozen=True, slots=True)
class WorkerState:
    """What a watchdog wants to know.

    Attributes:
        busy_since_ns: When the plan under way was asked for [ns of the monotonic clock]; None
            while there is none.
        died: Why no plan will come any more; None while all is well.
        problem: Why no plan would come now, though one may later; None while all is well.
    """

    busy_since_ns: int | None = None
    died: str | None = None
    problem: str | None = None


class Worker(ABC):
    """Makes one plan at a time. The control thread calls it, and no call waits unless told to."""

    @property
    @abstractmethod
    def spec(self) -> PolicySpec:
        """Of the policy."""

    @abstractmethod
    def state(self) -> WorkerState:
        """Says how it is; may be called from any thread."""

    @abstractmethod
    def submit(self, request: PlanRequest) -> None:
        """Begins a plan; only while none is under way."""

    @abstractmethod
    def poll(self, *, tick: int, timeout_s: float = 0.0) -> Plan | None:
        """Returns the plan that was asked for, once, or None if it is not there yet.

        Args:
            tick: Control step at which it would be used.
            timeout_s: Waits so long for it at most [s].

        Raises:
            WorkerDiedError: If it will never come.
            Exception: What the policy raised instead of answering.
        """

    @abstractmethod
    def forget(self) -> None:
        """Drops the answer to whatever is under way; the worker stays busy until it is done."""

    @abstractmethod
    def close(self) -> None:
        """Ends the worker; nothing may be asked of it any more."""
