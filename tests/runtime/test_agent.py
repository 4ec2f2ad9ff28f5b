"""History, chunk schedule, steering, safety and hold, put together as they are on the arm."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from robot_policy.core.errors import ConfigError, SpecError
from robot_policy.core.observation import Candidates, Observation, Windows
from robot_policy.core.policy import Generators, Policy, per_row
from robot_policy.core.robot import load_robot
from robot_policy.core.specs import PolicySpec
from robot_policy.runtime.agent import Agent, AgentConfig
from robot_policy.runtime.clock import FakeClock
from robot_policy.runtime.history import History
from robot_policy.runtime.steering import choose

ROBOT = load_robot("panda_twin")
SPEC = replace(ROBOT.spec(), history=3, horizon=4, past=2)


class NumberedPolicy:
    """Answers plan number p and candidate n with chunks whose step h moves z by a known amount."""

    def __init__(self, spec: PolicySpec = SPEC, *, scale: float = 1e-3) -> None:
        self.spec = spec
        self.scale = scale
        self.calls: list[Windows] = []
        self.resets = 0

    def reset(self) -> None:
        self.resets += 1

    def sample(
        self, windows: Windows, *, num_samples: int = 1, generator: Generators
    ) -> Candidates:
        per_row(generator, windows.batch_size)
        self.calls.append(windows)
        actions = np.zeros((1, num_samples, self.spec.horizon, 7), np.float32)
        plan = len(self.calls)
        actions[..., 2] = self.scale * (10 * plan + np.arange(self.spec.horizon))
        actions[..., 1] = self.scale * np.arange(num_samples)[:, None]
        actions[..., -1] = 1.0
        return Candidates(actions)


HOME = np.array([0.0, 0.3, 0.0, -2.0, 0.0, 2.3, 0.8])


def observation(step: int, *, z: float = 0.3) -> Observation:
    """An arm whose first joint tells the step."""
    state = ROBOT.proprioception(
        joint_positions=np.array([step, *HOME[1:]], float),
        gripper_m=0.04,
        ee_position=np.array([0.4, 0.0, z]),
        base_R_ee=np.eye(3),
    )
    return Observation(stamp_ns=step, state=state)


def agent(policy: Policy, **options: int) -> Agent:
    return Agent(policy, ROBOT, config=AgentConfig(**{"execute_steps": 2, **options}))


def run(a: Agent, steps: Sequence[int]) -> list[float]:
    return [float(a.act(observation(step)).action[2]) for step in steps]


def test_the_policies_here_satisfy_the_protocol() -> None:
    assert isinstance(NumberedPolicy(), Policy)


def test_the_first_steps_of_each_chunk_are_executed_then_it_plans_again() -> None:
    policy = NumberedPolicy()
    a = agent(policy)
    a.reset(seed=0)
    np.testing.assert_allclose(run(a, range(5)), [0.010, 0.011, 0.020, 0.021, 0.030], rtol=1e-6)
    assert len(policy.calls) == 3
    assert policy.resets == 1


def test_windows_hold_the_last_observations_and_executed_actions() -> None:
    policy = NumberedPolicy()
    a = agent(policy)
    a.reset(seed=0)
    run(a, range(5))
    first, second, third = policy.calls
    np.testing.assert_array_equal(first.valid, [[False, False, True]])
    np.testing.assert_array_equal(first.past_valid, [[False, False]])
    np.testing.assert_array_equal(first.state[0, :, 0], [0, 0, 0])
    np.testing.assert_array_equal(second.state[0, :, 0], [0, 1, 2])
    np.testing.assert_array_equal(third.state[0, :, 0], [2, 3, 4])
    np.testing.assert_allclose(third.past[0, :, 2], [0.020, 0.021], rtol=1e-6)
    assert third.valid.all()
    assert third.past_valid.all()


def test_past_actions_are_the_ones_sent_and_not_the_ones_wanted() -> None:
    policy = NumberedPolicy(scale=0.05)
    a = agent(policy)
    a.reset(seed=0)
    run(a, range(3))
    np.testing.assert_allclose(policy.calls[1].past[0, :, 2], ROBOT.command.high[2])


def test_a_scorer_chooses_the_candidate_that_is_executed() -> None:
    class PrefersThird:
        def score(self, windows: Windows, candidates: Candidates) -> np.ndarray:
            return np.array([[0.0, 1.0, 5.0, np.nan]], np.float32)

    config = AgentConfig(execute_steps=2, num_samples=4)
    a = Agent(NumberedPolicy(), ROBOT, config=config, scorer=PrefersThird())
    a.reset(seed=0)
    assert a.act(observation(0)).action[1] == np.float32(2e-3)


def test_without_a_finite_score_the_first_candidate_is_taken() -> None:
    class Broken:
        def score(self, windows: Windows, candidates: Candidates) -> np.ndarray:
            return np.full((1, 2), np.nan, np.float32)

    policy = NumberedPolicy()
    history = History(SPEC)
    history.observe(observation(0))
    windows = history.windows()
    candidates = policy.sample(windows, num_samples=2, generator=np.random.default_rng(0))
    np.testing.assert_array_equal(choose(windows, candidates, Broken()), candidates.actions[:, 0])


def test_nan_from_the_policy_holds_and_stays_stopped_until_reset() -> None:
    policy = NumberedPolicy()
    a = agent(policy)
    a.reset(seed=0)
    a.act(observation(0))
    a.act(observation(1))
    policy.scale = np.nan
    stopped = a.act(observation(2))
    assert stopped.stop
    np.testing.assert_array_equal(stopped.action, [0, 0, 0, 0, 0, 0, 1])
    policy.scale = 1e-3
    assert a.act(observation(3)).stop
    assert a.act(observation(4)).reasons == ("action is not finite",)
    a.reset(seed=0)
    assert not a.act(observation(5)).stop


def test_an_observation_that_does_not_fit_is_refused() -> None:
    a = agent(NumberedPolicy())
    a.reset(seed=0)
    bad = observation(0)
    bad.state[4] = np.nan
    with pytest.raises(SpecError, match=r"observation\.state: not finite.*panda_joint5"):
        a.act(bad)
    with pytest.raises(SpecError, match="wrong shape"):
        a.act(replace(bad, state=np.zeros(3, np.float32)))


def test_construction_refuses_what_cannot_run() -> None:
    with pytest.raises(ConfigError, match=r"expected 1 \.\. 4"):
        agent(NumberedPolicy(), execute_steps=5)
    with pytest.raises(SpecError, match="another robot"):
        agent(NumberedPolicy(replace(SPEC, robot="ur5e")))


@pytest.mark.parametrize(("horizon", "plans"), [(1, 16), (4, 4), (8, 2), (16, 2)])
def test_eight_steps_are_executed_unless_the_chunk_is_shorter(horizon: int, plans: int) -> None:
    policy = NumberedPolicy(replace(SPEC, horizon=horizon))
    a = Agent(policy, ROBOT, config=AgentConfig())
    a.reset(seed=0)
    run(a, range(16))
    assert len(policy.calls) == plans


def test_planning_time_is_measured_only_when_it_plans() -> None:
    clock = FakeClock()

    class Slow(NumberedPolicy):
        def sample(self, windows: Windows, **options: object) -> Candidates:
            clock.advance_ns(7)
            return super().sample(windows, **options)  # pyright: ignore[reportArgumentType]

    a = Agent(Slow(), ROBOT, config=AgentConfig(execute_steps=2), clock=clock)
    a.reset(seed=0)
    times = []
    for step in range(3):
        a.act(observation(step))
        times.append(a.planning_ns)
    assert times == [7, None, 7]


def test_history_wants_an_observation_first() -> None:
    with pytest.raises(SpecError, match="no observation yet"):
        History(SPEC).windows()
