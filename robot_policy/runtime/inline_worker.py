"""A worker without a thread: plans at once, and delivers as late as it is told to.

What the harness runs on. Its latency is counted in control steps, so that a result does not
depend on how fast the machine is.
"""

import math
from collections.abc import Callable

from robot_policy.core.specs import PolicySpec
from robot_policy.runtime.planning import Plan, Planner, PlanRequest
from robot_policy.runtime.worker import Worker, WorkerState

type LatencySteps = Callable[[int], int]
"""Number of a plan to the control steps from the question until its answer may be used."""


def latency_steps(latency_s: float, dt_s: float) -> int:
    """Returns the control steps that a latency covers: a plan is used from the next step on."""
    # 200 ms are four steps of 50 ms, not five because of the last bit.
    return math.ceil(latency_s / dt_s - 1e-6)


class InlineWorker(Worker):
    """Plans in the caller's thread.

    Args:
        planner: Makes the plans.
        latency: Of every plan; none by default.
    """

    def __init__(self, planner: Planner, *, latency: LatencySteps = lambda _: 0) -> None:
        self._planner = planner
        self._latency = latency
        self._plan: Plan | None = None
        self._due_tick = 0

    @property
    def spec(self) -> PolicySpec:
        """Of the policy."""
        return self._planner.spec

    def state(self) -> WorkerState:
        """Never busy to others: it answers before they can ask."""
        return WorkerState()

    def submit(self, request: PlanRequest) -> None:
        """Plans.

        Raises:
            Exception: What the policy raises.
        """
        self._plan = self._planner.plan(request)
        self._due_tick = request.tick + self._latency(request.number)

    def poll(self, *, tick: int, timeout_s: float = 0.0) -> Plan | None:
        """Returns the plan if it is due at `tick`."""
        del timeout_s
        if self._plan is None or tick < self._due_tick:
            return None
        plan, self._plan = self._plan, None
        return plan

    def forget(self) -> None:
        """Drops the plan that is not due yet."""
        self._plan = None

    def close(self) -> None:
        """Nothing runs."""
