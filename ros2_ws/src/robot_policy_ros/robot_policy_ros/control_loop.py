"""Decides when an observation has arrived, holds when none does. Knows no ROS."""

import logging
import threading
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.errors import RobotPolicyError
from robot_policy.core.observation import Observation
from robot_policy.runtime.agent import Agent
from robot_policy_ros.inputs import Inputs
from robot_policy_ros.loop_statistics import LoopStatistics
from robot_policy_ros.pacing import Pacer

type Action = NDArray[np.float32]

_log = logging.getLogger(__name__)


class Outputs(Protocol):
    """Where decisions go. Called from the control thread and from the watchdog, one at a time."""

    def command(self, action: Action) -> None:
        """Sends an action (A,) to the arm."""
        ...

    def planned(self, duration_ms: float) -> None:
        """Tells how long the policy took for a chunk [ms]."""
        ...

    def fault(self, reason: str) -> None:
        """Tells that the arm is held until a reset, and why."""
        ...


class ControlLoop:
    """Runs an agent in a thread of its own, so that messages keep arriving while it decides.

    Every new observation is decided upon once, at the control rate at most (see `Pacer`). After
    `max_age_ns` without a decision the arm is held at the control rate until observations come
    back. A stop of the safety filter or an error in the agent is a fault: the arm is held until
    `reset`.

    Args:
        agent: Decides.
        inputs: Gives observations.
        outputs: Takes commands.
        period_ns: Control period [ns].
        max_age_ns: Oldest observation that may be acted upon [ns].
        now_ns: Clock of the observations' stamps.
    """

    def __init__(
        self,
        agent: Agent,
        inputs: Inputs,
        outputs: Outputs,
        *,
        period_ns: int,
        max_age_ns: int,
        now_ns: Callable[[], int],
    ) -> None:
        self.statistics = LoopStatistics()
        self.fault: str | None = None
        """Why the arm is held until a reset; None while all is well."""
        self._agent = agent
        self._inputs = inputs
        self._outputs = outputs
        self._pacer = Pacer(period_ns)
        self._max_age_ns = max_age_ns
        self._now_ns = now_ns
        self._decided_ns = now_ns()
        self._held_ns = 0
        self._busy_since_ns: int | None = None
        self._agent_lock = threading.Lock()
        self._output_lock = threading.Lock()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def running(self) -> bool:
        """Whether the thread runs."""
        return self._thread is not None

    def reset(self, *, seed: int) -> None:
        """Starts an episode: forgets observations, history and a fault."""
        with self._agent_lock:
            self._agent.reset(seed=seed)
            now_ns = self._now_ns()
            self._inputs.clear(not_before_ns=now_ns)
            self._pacer.reset()
            self.statistics.reset()
            self._decided_ns = now_ns
            self.fault = None

    def start(self) -> None:
        """Starts the thread."""
        self._stopping.clear()
        self._decided_ns = self._now_ns()
        self._thread = threading.Thread(target=self._run, name="control")
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread after the decision it is at, then holds the arm."""
        if self._thread is None:
            return
        self._stopping.set()
        self._wake.set()
        self._thread.join()
        self._thread = None
        self._hold(self._now_ns())

    def notify(self) -> None:
        """Tells that a message has arrived."""
        self._wake.set()

    def watch(self) -> None:
        """Holds the arm while a decision hangs; to be called at the control rate."""
        since_ns, now_ns = self._busy_since_ns, self._now_ns()
        if since_ns is not None and now_ns - since_ns > self._max_age_ns:
            self._hold(now_ns)

    def tick(self) -> None:
        """Decides upon a new observation, or holds if there has been none for too long."""
        with self._agent_lock:
            now_ns = self._now_ns()
            if self.fault is None:
                observation = self._inputs.observation(now_ns)
                if observation is not None and self._pacer.due(observation.stamp_ns):
                    self._decide(observation, now_ns)
                    return
            if self.fault is not None or now_ns - self._decided_ns > self._max_age_ns:
                self._hold_at_rate(now_ns)

    def _run(self) -> None:
        period_s = self._pacer.period_ns * 1e-9
        while not self._stopping.is_set():
            # Holding needs no message, so the wait ends by itself after a period.
            self._wake.wait(period_s)
            self._wake.clear()
            if not self._stopping.is_set():
                self.tick()

    def _decide(self, observation: Observation, start_ns: int) -> None:
        self._busy_since_ns = start_ns
        try:
            decision = self._agent.act(observation)
        except RobotPolicyError as error:
            self._fail(str(error))
            return
        except Exception as error:
            # Whatever went wrong in a policy, the arm must be held and the node must live.
            _log.exception("the policy failed")
            self._fail(f"{type(error).__name__}: {error}")
            return
        finally:
            self._busy_since_ns = None
        now_ns = self._now_ns()
        planning_ns = self._agent.planning_ns
        late = now_ns - start_ns > self._pacer.period_ns
        self.statistics.decided(now_ns, late=late, planning_ns=planning_ns)
        if planning_ns is not None:
            self._outputs.planned(planning_ns * 1e-6)
        if decision.stop:
            self._fail("; ".join(decision.reasons))
            return
        if decision.reasons:
            self.statistics.limit(decision.reasons)
        if now_ns - observation.stamp_ns > self._max_age_ns:
            self._hold(now_ns)
        else:
            with self._output_lock:
                self._outputs.command(decision.action)
        self._decided_ns = now_ns
        self._pacer.decided(observation.stamp_ns, sent_ns=now_ns)

    def _fail(self, reason: str) -> None:
        self.fault = reason
        self._hold(self._now_ns())
        self._outputs.fault(reason)

    def _hold_at_rate(self, now_ns: int) -> None:
        # Some slack, or the wake-up after one period would come a hair too early.
        if now_ns - self._held_ns >= 0.9 * self._pacer.period_ns:
            self._hold(now_ns)

    def _hold(self, now_ns: int) -> None:
        """Commands no motion. Before the first joint state there is nothing to hold."""
        state: NDArray[Any] | None = self._inputs.state()
        if state is None:
            return
        with self._output_lock:
            self._held_ns = now_ns
            self.statistics.holds += 1
            self._outputs.command(self._agent.hold(state))
