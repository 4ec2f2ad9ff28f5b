"""The object that decides, the same one in the evaluation harness and in the ROS node."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.observation import Observation
from robot_policy.core.policy import Policy, Scorer
from robot_policy.core.robot import RobotDescription
from robot_policy.core.specs import check_runs_on
from robot_policy.runtime.chunking import RecedingHorizon
from robot_policy.runtime.clock import Clock, MonotonicClock
from robot_policy.runtime.history import History
from robot_policy.runtime.hold import hold_action
from robot_policy.runtime.safety.decision import Decision
from robot_policy.runtime.safety.safety_filter import SafetyFilter
from robot_policy.runtime.steering import choose


@dataclass(frozen=True, slots=True)
class AgentConfig:
    """How an agent uses its policy.

    Attributes:
        execute_steps: Ta, actions of a chunk executed before planning again.
        num_samples: N, candidates drawn per plan.
    """

    execute_steps: int = 8
    num_samples: int = 1


class Agent:
    """History, policy, steering, chunk schedule and safety filter, in this order.

    A stop is latched: from then on every decision holds the arm, until `reset`.

    Args:
        policy: Proposes chunks.
        robot: Gives the limits, and the hold.
        config: How the policy is used.
        scorer: Chooses among the candidates; None takes the first.
        safety: Limits; None builds all that the description has.
        clock: For `planning_ns`.

    Raises:
        SpecError: If the policy was trained for another robot, rate or command.
        ConfigError: If the executed part of a chunk is longer than the policy's horizon.
    """

    def __init__(
        self,
        policy: Policy,
        robot: RobotDescription,
        *,
        config: AgentConfig,
        scorer: Scorer | None = None,
        safety: SafetyFilter | None = None,
        clock: Clock | None = None,
    ) -> None:
        spec = policy.spec
        offered = robot.spec(environment_state=spec.environment_state, cameras=tuple(robot.cameras))
        check_runs_on(spec, offered, where=f"robot {robot.name}")
        self.policy = policy
        self.robot = robot
        self.config = config
        self._scorer = scorer
        self._safety = safety or SafetyFilter.from_robot(robot)
        self._clock = clock or MonotonicClock()
        self._history = History(spec)
        self._schedule = RecedingHorizon(execute_steps=config.execute_steps, horizon=spec.horizon)
        self._stop: tuple[str, ...] = ()
        self._gripper = 0.0
        self._generator = np.random.default_rng(0)
        self.planning_ns: int | None = None
        """Duration of the planning in the last `act` [ns]; None if it did not plan."""

    def reset(self, *, seed: int) -> None:
        """Starts an episode; `seed` fixes every draw in it. Clears a latched stop."""
        self.policy.reset()
        self._history.reset()
        self._schedule.reset()
        self._stop = ()
        self._gripper = 0.0
        self._generator = np.random.default_rng(seed)

    def act(self, observation: Observation) -> Decision:
        """Decides what to do now.

        Returns:
            The action to send. With `stop` it is the one that holds the arm.

        Raises:
            SpecError: If the observation does not fit the policy.
        """
        self.planning_ns = None
        if self._stop:
            return self._hold(observation, self._stop)
        self._history.observe(observation)
        if self._schedule.needs_chunk:
            self._plan()
        wanted = self._schedule.take()
        decision = self._safety.restrict(wanted, observation.state, self.robot.dt_s)
        if decision.stop:
            self._stop = decision.reasons
            decision = self._hold(observation, self._stop)
        self._gripper = float(decision.action[-1])
        self._history.executed(decision.action)
        return decision

    def hold(self, state: NDArray[np.float32]) -> NDArray[np.float32]:
        """Returns the action (A,) that keeps the arm where it is."""
        return hold_action(self.robot, state, gripper=self._gripper)

    def _hold(self, observation: Observation, reasons: tuple[str, ...]) -> Decision:
        return Decision(self.hold(observation.state), reasons, stop=True)

    def _plan(self) -> None:
        start_ns = self._clock.now_ns()
        windows = self._history.windows()
        candidates = self.policy.sample(
            windows, num_samples=self.config.num_samples, generator=self._generator
        )
        self._schedule.put(choose(windows, candidates, self._scorer)[0])
        self.planning_ns = self._clock.now_ns() - start_ns
