"""A worker in a thread: for policies that leave the interpreter while they think.

Python runs one thread at a time. A policy of many small steps, as torch's denoising is, keeps the
interpreter to itself for milliseconds, and the control loop late; see `ProcessWorker`.
"""

from dataclasses import replace

from robot_policy.runtime.background_worker import BackgroundWorker
from robot_policy.runtime.planning import Planner
from robot_policy.runtime.worker import WorkerState


class ThreadWorker(BackgroundWorker):
    """Plans in a thread of this process.

    Args:
        planner: Makes the plans.
    """

    def __init__(self, planner: Planner) -> None:
        super().__init__(planner.plan, spec=planner.spec, name="planner")
        self._planner = planner

    def state(self) -> WorkerState:
        """Says since when it is busy, and what would keep it from the next plan."""
        return replace(super().state(), problem=self._planner.problem)

    def close(self) -> None:
        """Ends the thread after the plan it is at, and releases the policy."""
        super().close()
        self._planner.close()
