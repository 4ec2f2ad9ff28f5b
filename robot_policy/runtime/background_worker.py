"""What workers have in common that answer from a thread of their own."""

import queue
import threading
import time
from collections.abc import Callable

from robot_policy.core.specs import PolicySpec
from robot_policy.runtime.planning import Plan, PlanRequest
from robot_policy.runtime.worker import Worker, WorkerDiedError, WorkerState

type Answer = Plan | Exception


class BackgroundWorker(Worker):
    """Hands requests to a thread that waits for the answers.

    Args:
        answer: Turns a request into a plan, or raises, in the thread.
        spec: Of the policy.
        name: Of the thread.
    """

    def __init__(
        self, answer: Callable[[PlanRequest], Plan], *, spec: PolicySpec, name: str
    ) -> None:
        self._answer = answer
        self._spec = spec
        self._requests: queue.SimpleQueue[PlanRequest | None] = queue.SimpleQueue()
        self._arrival = threading.Condition()
        self._answered: Answer | None = None
        self._busy_since_ns: int | None = None
        self._wanted = False
        self._died: str | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def spec(self) -> PolicySpec:
        """Of the policy."""
        return self._spec

    def state(self) -> WorkerState:
        """Says since when it is busy, and whether it has died."""
        with self._arrival:
            return WorkerState(self._busy_since_ns, self._died)

    def submit(self, request: PlanRequest) -> None:
        """Begins a plan.

        Raises:
            WorkerDiedError: If nobody would answer.
        """
        with self._arrival:
            if self._died is not None:
                raise WorkerDiedError(self._died)
            assert self._busy_since_ns is None, "one plan at a time"
            self._busy_since_ns, self._wanted = time.monotonic_ns(), True
        self._requests.put(request)

    def poll(self, *, tick: int, timeout_s: float = 0.0) -> Plan | None:
        """Returns the plan if it is there, or comes within `timeout_s` [s]."""
        del tick
        with self._arrival:
            if timeout_s > 0:
                self._arrival.wait_for(self._something_to_tell, timeout_s)
            answered, self._answered = self._answered, None
            if answered is None and self._wanted and self._died is not None:
                raise WorkerDiedError(self._died)
        if isinstance(answered, Exception):
            raise answered
        return answered

    def forget(self) -> None:
        """Drops the answer that is there or will come."""
        with self._arrival:
            self._wanted = False
            self._answered = None

    def close(self) -> None:
        """Ends the thread after the plan it is at."""
        self._requests.put(None)
        self._thread.join()

    def _something_to_tell(self) -> bool:
        return self._answered is not None or self._died is not None

    def _run(self) -> None:
        while (request := self._requests.get()) is not None:
            try:
                self._deliver(self._answer(request))
            except WorkerDiedError as error:
                self._bury(str(error))
                return
            except Exception as error:  # whoever polls gets it
                self._deliver(error)

    def _deliver(self, answered: Answer) -> None:
        with self._arrival:
            if self._wanted:
                self._answered = answered
            self._busy_since_ns, self._wanted = None, False
            self._arrival.notify_all()

    def _bury(self, reason: str) -> None:
        with self._arrival:
            self._busy_since_ns, self._died = None, reason
            self._arrival.notify_all()
