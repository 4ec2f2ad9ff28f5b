"""The object that decides, the same one in the evaluation harness and in the ROS node."""

import math
from collections import deque
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.observation import Observation, Windows
from robot_policy.core.policy import Policy, Scorer
from robot_policy.core.robot import CommandInterface, RobotDescription
from robot_policy.core.specs import PolicySpec, check_runs_on, without_goal
from robot_policy.runtime.agent_config import AgentConfig
from robot_policy.runtime.clock import Clock
from robot_policy.runtime.guidance.config import SteeringConfig
from robot_policy.runtime.history import History
from robot_policy.runtime.hold import hold_action
from robot_policy.runtime.inline_worker import InlineWorker
from robot_policy.runtime.planning import Plan, Planner, PlanRequest
from robot_policy.runtime.safety.ahead import restricted_ahead, state_after
from robot_policy.runtime.safety.decision import Decision
from robot_policy.runtime.safety.safety_filter import SafetyFilter
from robot_policy.runtime.safety.sent import AT_REST, Sent
from robot_policy.runtime.schedules.registry import SCHEDULES
from robot_policy.runtime.schedules.schedule import Prefix, Schedule
from robot_policy.runtime.worker import Worker

__all__ = ["Agent", "AgentConfig"]

_DELAYS = 10
"""Plans whose delay is remembered, as many as in the paper on real-time chunking."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """The plan under way.

    Attributes:
        tick: At which it was asked for.
        stamp_ns: Of the observation it is made from [ns].
        state: (S,) of that observation.
        sent: What had been commanded before.
    """

    tick: int
    stamp_ns: int
    state: NDArray[np.float32]
    sent: Sent


class Agent:
    """History, policy, steering, chunk schedule and safety filter, in this order.

    Called once per control step, it never waits for the policy, unless it was given `patience_s`:
    a worker plans, and where the schedule has no action for now the arm holds. A stop is latched:
    from then on every decision holds the arm, until `reset`.

    Args:
        source: A policy, which is then asked in the caller's thread, or a worker that has one.
        robot: Gives the limits, and the hold.
        config: How the policy is used.
        scorer: Chooses among the candidates of a policy; None takes the first. A worker has its
            own.
        safety: Limits; None builds all that the description has.
        clock: For `planning_ns` of a policy.
        patience_s: How long `act` waits for the plan under way where there is no other action [s].
        expected_latency_s: How long a plan takes, for as long as none has been timed [s].

    Raises:
        SpecError: If the policy was trained for another robot, rate or command.
        ConfigError: If the executed part of a chunk is longer than the policy's horizon, or the
            schedule does not suit the policy.
        UnknownNameError: If there is no such schedule.
    """

    def __init__(
        self,
        source: Policy | Worker,
        robot: RobotDescription,
        *,
        config: AgentConfig,
        scorer: Scorer | None = None,
        safety: SafetyFilter | None = None,
        clock: Clock | None = None,
        patience_s: float = 0.0,
        expected_latency_s: float = 0.0,
    ) -> None:
        spec = source.spec
        offered = robot.spec(environment_state=spec.environment_state, cameras=tuple(robot.cameras))
        check_runs_on(without_goal(spec), offered, where=f"robot {robot.name}")
        if isinstance(source, Worker):
            self.worker: Worker = source
        else:
            self.worker = InlineWorker(
                Planner(source, num_samples=config.num_samples, scorer=scorer, clock=clock)
            )
        self.robot = robot
        self.config = config
        self._patience_s = patience_s
        self._expected_delay = math.ceil(expected_latency_s / robot.dt_s)
        self._safety = safety or SafetyFilter.from_robot(robot)
        self._history = History(spec)
        self._schedule: Schedule = SCHEDULES[config.schedule](spec, config)
        self._delays: deque[int] = deque(maxlen=_DELAYS)
        self._sent: deque[tuple[int, NDArray[np.float32]]] = deque(maxlen=spec.horizon)
        """The last actions that were no holds, with the time at which each was sent [ns]."""
        self._number = 0
        self.received: Plan | None = None
        """The plan that the last `act` received; None if it received none."""
        self.steering: SteeringConfig | None = None
        """How a steered policy chooses from the next plan on; None leaves it as it was loaded.

        May be set from any thread."""
        self._begin(seed=0)

    @property
    def spec(self) -> PolicySpec:
        """Of the policy."""
        return self.worker.spec

    @property
    def planning_ns(self) -> int | None:
        """Time that the plan took which the last `act` received [ns]; None if it received none."""
        return None if self.received is None else self.received.duration_ns

    def reset(self, *, seed: int) -> None:
        """Starts an episode; `seed` fixes every draw in it. Clears a latched stop."""
        self._history.reset()
        self._begin(seed=seed)

    def interrupt(self) -> None:
        """Drops chunks and plans, because the arm has been held or moved by somebody else."""
        self._schedule.reset()
        self._sent.clear()
        self._drop_plan()

    def act(self, observation: Observation, *, now_ns: int | None = None) -> Decision:
        """Decides what to do now, one control step.

        Args:
            observation: The newest one; the same one again where nothing new has been measured.
            now_ns: Time on the clock of the observation's stamp [ns]; the stamp itself if None.

        Returns:
            The action to send. With `stop` it is the one that holds the arm.

        Raises:
            SpecError: If the observation does not fit the policy.
            WorkerDiedError: If there will be no more plans.
            Exception: What the policy raised instead of answering.
        """
        self.received = None
        if self._stop:
            return self._hold(observation, self._stop)
        if observation.stamp_ns != self._stamp_ns:
            self._history.observe(observation)
            self._stamp_ns = observation.stamp_ns
        self._receive()
        self._ask(observation.state)
        self._receive()
        wanted = self._take()
        decision = self._restrict(wanted, observation)
        self._gripper = float(decision.action[-1])
        self._history.executed(decision.action)
        if wanted is not None:
            self._sent.append((observation.stamp_ns if now_ns is None else now_ns, decision.action))
        self._tick += 1
        return decision

    def hold(self, state: NDArray[np.float32]) -> NDArray[np.float32]:
        """Returns the action (A,) that keeps the arm where it is, and counts it as at rest."""
        self._before = AT_REST
        return hold_action(self.robot, state, gripper=self._gripper)

    def _begin(self, *, seed: int) -> None:
        self._schedule.reset()
        self._sent.clear()
        self._drop_plan()
        self._stop: tuple[str, ...] = ()
        self._before = AT_REST
        self._gripper = 0.0
        self._seeds = np.random.SeedSequence(seed)
        self._stamp_ns: int | None = None
        self._tick = 0
        self._first = True

    def _drop_plan(self) -> None:
        self._asked: _Asked | None = None
        self.worker.forget()

    def _ask(self, state: NDArray[np.float32]) -> None:
        """Asks for a plan if the schedule wants one and the worker is free."""
        delay = max(self._delays, default=self._expected_delay)
        if self._asked is not None or not self._schedule.wants_plan(delay=delay):
            return
        if self.worker.state().busy_since_ns is not None:
            return  # with a plan that nobody wants any more
        assert self._stamp_ns is not None
        prefix = self._schedule.prefix(self._executed_since(self._stamp_ns), delay=delay)
        self.worker.submit(
            PlanRequest(
                number=self._number,
                tick=self._tick,
                first=self._first,
                windows=_with_prefix(self._history.windows(), prefix),
                seed=self._seeds.spawn(1)[0],
                steering=self.steering,
            )
        )
        self._asked = _Asked(self._tick, self._stamp_ns, state, self._before)
        self._number += 1
        self._first = False

    def _receive(self, *, timeout_s: float = 0.0) -> None:
        plan = self.worker.poll(tick=self._tick, timeout_s=timeout_s)
        if plan is None or self._asked is None:
            return
        asked, self._asked = self._asked, None
        self.received = plan
        self._delays.append(self._tick - asked.tick)
        # As of the observation, which is where the chunk begins.
        self._stop = self._safety.check_chunk(
            plan.chunk, asked.state, self.robot.dt_s, sent=asked.sent
        )
        if not self._stop:
            self._schedule.put(plan.chunk, executed=self._executed_since(asked.stamp_ns))

    def _executed_since(self, stamp_ns: int) -> NDArray[np.float32]:
        """Returns the actions (I, A) sent at or after `stamp_ns`: what was seen then lacks them."""
        actions = [action for sent_ns, action in self._sent if sent_ns >= stamp_ns]
        return np.array(actions, np.float32).reshape(-1, self.spec.action.size)

    def _take(self) -> NDArray[np.float32] | None:
        wanted = self._schedule.take()
        if wanted is None and self._asked is not None and self._patience_s:
            self._receive(timeout_s=self._patience_s)
            wanted = self._schedule.take()
        return wanted

    def _restrict(self, wanted: NDArray[np.float32] | None, observation: Observation) -> Decision:
        """Lets the limits judge what is wanted; nothing wanted is a hold."""
        if self._stop:  # the chunk was refused
            return self._hold(observation, self._stop)
        state, dt_s, held = observation.state, self.robot.dt_s, wanted is None
        action = self.hold(state) if wanted is None else wanted
        decision = self._safety.restrict(action, state, dt_s, sent=self._before)
        if decision.stop:
            self._stop = decision.reasons
            return self._hold(observation, self._stop)
        if held:
            return replace(decision, held=True)
        rest = hold_action(self.robot, state, gripper=self._gripper)
        self._before = self._before.then(decision.action, rest=rest)
        if self.robot.command.interface != CommandInterface.JOINT_TRAJECTORY_CHUNK:
            return decision
        following = restricted_ahead(
            self._safety,
            self.robot,
            self._schedule.upcoming(),
            state=state_after(self.robot, decision.action, state),
            sent=self._before,
        )
        return replace(decision, following=following)

    def _hold(self, observation: Observation, reasons: tuple[str, ...]) -> Decision:
        return Decision(self.hold(observation.state), reasons, stop=True)


def _with_prefix(windows: Windows, prefix: Prefix | None) -> Windows:
    if prefix is None:
        return windows
    return replace(windows, prefix=prefix.actions[None], prefix_weights=prefix.weights[None])
