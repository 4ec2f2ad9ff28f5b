"""Commands at the control rate, whatever the policy is at; holds where it must. Knows no ROS."""

import logging
import threading
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.errors import RobotPolicyError
from robot_policy.core.observation import Observation
from robot_policy.runtime.agent import Agent
from robot_policy.runtime.black_box import BlackBox
from robot_policy.runtime.clock import Clock, MonotonicClock
from robot_policy.runtime.safety.decision import Decision
from robot_policy.runtime.ticker import Ticker, ask_for_priority
from robot_policy.runtime.watchdog import Verdict, Watchdog, WatchdogLimits
from robot_policy_ros.inputs import Inputs
from robot_policy_ros.loop_statistics import LoopStatistics
from robot_policy_ros.pacing import Pace, Pacer

type Action = NDArray[np.float32]

DECISION, HOLD, PLAN = "decision", "hold", "plan"
"""Channels of the black box."""

_log = logging.getLogger(__name__)


class Outputs(Protocol):
    """Where decisions go. Called from the control thread and from the watchdog, one at a time."""

    def command(self, action: Action, following: Action = ...) -> None:
        """Sends an action (A,) to the arm, and what is planned after it (R, A) if anything is."""
        ...

    def planned(self, duration_ms: float) -> None:
        """Tells how long the policy took for a chunk [ms]."""
        ...

    def fault(self, reason: str) -> None:
        """Tells that the arm is held until a reset, and why."""
        ...


class ControlLoop:
    """Runs an agent in a thread of its own, so that messages keep arriving while it decides.

    At the pace of the clock there is a command in every period: what the agent decides upon the
    newest observation, or a hold where nothing younger than `max_age_ns` is known. At the pace of
    the observations each is decided upon once (see `Pacer`), and after `max_age_ns` without a
    decision the arm is held at the control rate until they come back. A stop of the safety filter,
    an error in the agent and what the watchdog does not put up with are faults: the arm is held
    until `reset`.

    Args:
        agent: Decides.
        inputs: Gives observations.
        outputs: Takes commands.
        pace: What a control step waits for.
        period_ns: Control period [ns].
        max_age_ns: Oldest observation that may be acted upon [ns].
        now_ns: Clock of the observations' stamps.
        clock: Clock of the deadlines.
        priority: Of the control thread, see `ask_for_priority`.
        watchdog: Says when to hold, and when that is not enough; None for one with its defaults.
        black_box: Takes what was decided; None keeps nothing.
    """

    def __init__(
        self,
        agent: Agent,
        inputs: Inputs,
        outputs: Outputs,
        *,
        pace: Pace,
        period_ns: int,
        max_age_ns: int,
        now_ns: Callable[[], int],
        clock: Clock | None = None,
        priority: int = 0,
        watchdog: Watchdog | None = None,
        black_box: BlackBox | None = None,
    ) -> None:
        self.statistics = LoopStatistics()
        self.fault: str | None = None
        """Why the arm is held until a reset; None while all is well."""
        self.failed_ns: int | None = None
        """When the fault came, on the clock of the deadlines [ns]."""
        self.has_priority: bool | None = None
        """Whether the system granted the thread its priority; None before it was asked."""
        self._agent = agent
        self._inputs = inputs
        self._outputs = outputs
        self._pace = pace
        self._pacer = Pacer(period_ns)
        self._clock = clock or MonotonicClock()
        self._ticker = Ticker(period_ns, self._clock)
        self._watchdog = watchdog or Watchdog(WatchdogLimits())
        self._black_box = black_box
        self._moved = False
        self._priority = priority
        self._period_ns = period_ns
        self._max_age_ns = max_age_ns
        self._now_ns = now_ns
        self._decided_ns = now_ns()
        self._held_ns = 0
        self._newest: Observation | None = None
        self._busy_since_ns: int | None = None
        self._agent_lock = threading.Lock()
        self._output_lock = threading.Lock()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def unanswered(self) -> str | None:
        """That plans are overdue, in words; None while they come in time."""
        return self._watchdog.unanswered

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
            self._newest = None
            self._pacer.reset()
            self.statistics.reset()
            self._decided_ns = now_ns
            self._watchdog.reset()
            self._moved = False
            self.fault = self.failed_ns = None

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

    def emergency_stop(self, reason: str) -> None:
        """Makes `reason` a fault, from any thread: the arm holds when this returns."""
        self._watchdog.latch(reason)
        self._fail(reason)

    def tick(self) -> None:
        """Makes one control step: decides, or holds if there is nothing to decide upon."""
        with self._agent_lock:
            now_ns = self._now_ns()
            verdict = self._check(now_ns)
            if self.fault is not None:
                self._hold_at_rate(now_ns)
            elif verdict.fault is not None:
                self._fail(verdict.fault)
            elif verdict.problems and self._pace == Pace.CLOCK:
                self._agent.interrupt()
                self._hold_at_rate(now_ns)
            elif (observation := self._observation(now_ns)) is not None:
                self._decide(observation, now_ns)
            elif self._unheard(now_ns):
                # The arm stands still meanwhile, and what was planned is not what it would do now.
                self._agent.interrupt()
                self._hold_at_rate(now_ns)

    def _check(self, now_ns: int) -> Verdict:
        return self._watchdog.check(
            now_ns=self._clock.now_ns(),
            stamps_now_ns=now_ns,
            problems=self._inputs.problems(now_ns),
            worker=self._agent.worker.state(),
            moved=self._moved,
        )

    def _run(self) -> None:
        if self._priority:
            self.has_priority = ask_for_priority(self._priority)
        self._ticker.start()
        wait = self._wait_for_deadline if self._pace == Pace.CLOCK else self._wait_for_message
        while not self._stopping.is_set():
            wait()
            if not self._stopping.is_set():
                self.tick()

    def _wait_for_deadline(self) -> None:
        self.statistics.ticked(self._ticker.wait())

    def _wait_for_message(self) -> None:
        # Holding needs no message, so the wait ends by itself after a period.
        self._wake.wait(self._period_ns * 1e-9)
        self._wake.clear()

    def _observation(self, now_ns: int) -> Observation | None:
        """Returns what to decide upon now, None if there is nothing."""
        arrived = self._inputs.observation(now_ns)
        if self._pace == Pace.OBSERVATIONS:
            due = arrived is not None and self._pacer.due(arrived.stamp_ns)
            return arrived if due else None
        if arrived is not None:
            self._newest = arrived
        elif self._inputs.problems(now_ns):
            return None
        # Where only half of the messages of a moment have arrived, the moment before will do.
        if self._newest is None or now_ns - self._newest.stamp_ns > self._max_age_ns:
            return None
        return self._newest

    def _unheard(self, now_ns: int) -> bool:
        """Whether observations have been missing for too long."""
        return self._pace == Pace.CLOCK or now_ns - self._decided_ns > self._max_age_ns

    def _decide(self, observation: Observation, start_ns: int) -> None:
        self._busy_since_ns = start_ns
        try:
            decision = self._agent.act(observation, now_ns=start_ns)
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
        plan = self._agent.received
        late = now_ns - start_ns > self._period_ns
        self.statistics.decided(now_ns, late=late, held=decision.held)
        self._record(DECISION, decision, now_ns)
        if plan is not None:
            self.statistics.planned(plan)
            self._watchdog.planned()
            self._outputs.planned(plan.duration_ns * 1e-6)
            self._record(PLAN, plan, now_ns)
        if self.fault is not None:
            return  # somebody has stopped the arm meanwhile
        if decision.stop:
            self._fail("; ".join(decision.reasons))
            return
        if decision.reasons:
            self.statistics.limit(decision.reasons)
        if now_ns - observation.stamp_ns > self._max_age_ns:
            self._hold(now_ns)
        else:
            self._command(decision)
        self._decided_ns = now_ns
        self._pacer.decided(observation.stamp_ns, sent_ns=now_ns)

    def _command(self, decision: Decision) -> None:
        planned = () if decision.following is None else (decision.following,)
        with self._output_lock:
            if self.fault is None:
                self._outputs.command(decision.action, *planned)
                self._moved = True

    def _record(self, channel: str, value: object, now_ns: int) -> None:
        if self._black_box is not None:
            self._black_box.put(channel, value, stamp_ns=now_ns)

    def _fail(self, reason: str) -> None:
        with self._output_lock:  # no command that is on its way may follow the hold
            if self.fault is not None:
                return
            self.fault, self.failed_ns = reason, self._clock.now_ns()
        self._hold(self._now_ns())
        self._outputs.fault(reason)

    def _hold_at_rate(self, now_ns: int) -> None:
        # Some slack, or the wake-up after one period would come a hair too early.
        if now_ns - self._held_ns >= 0.9 * self._period_ns:
            self._hold(now_ns)

    def _hold(self, now_ns: int) -> None:
        """Commands no motion. Before the first joint state there is nothing to hold."""
        state: NDArray[Any] | None = self._inputs.state()
        if state is None:
            return
        with self._output_lock:
            self._held_ns = now_ns
            self.statistics.holds += 1
            action = self._agent.hold(state)
            self._outputs.command(action)
        self._record(HOLD, action, now_ns)
