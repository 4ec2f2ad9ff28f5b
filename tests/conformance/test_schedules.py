"""Schedules under every latency: nothing skipped, nothing repeated, and holds where it must."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robot_policy.core.errors import ConfigError, UnknownNameError
from robot_policy.core.observation import Candidates, Observation, Windows
from robot_policy.core.policy import Generators
from robot_policy.core.robot import load_robot
from robot_policy.core.specs import ActionSpace
from robot_policy.runtime.agent import Agent
from robot_policy.runtime.agent_config import AgentConfig
from robot_policy.runtime.inline_worker import InlineWorker, latency_steps
from robot_policy.runtime.planning import Planner
from robot_policy.runtime.safety.decision import Decision
from robot_policy.runtime.safety.safety_filter import SafetyFilter
from robot_policy.runtime.schedules.ensemble import mean_action
from robot_policy.runtime.schedules.real_time_chunking import soft_mask
from robot_policy.runtime.schedules.registry import SCHEDULES

ROBOT = load_robot("panda_twin")
HORIZON = 8
SPEC = replace(ROBOT.spec(), history=2, horizon=HORIZON, past=1, joins_prefix=True)
ALIGNED = [name for name in SCHEDULES if name != "naive"]


def truth(t: int) -> np.ndarray:
    """What the arm should do at its t-th step: a different action for every t."""
    motion = 0.03 * np.sin(0.7 * t + np.arange(3))
    turn = 0.2 * np.cos(0.9 * t + np.arange(3))
    return np.concatenate([motion, turn, [t % 2]]).astype(np.float32)


class TruthfulPolicy:
    """Reads from the first joint how far the arm has got, and answers with what follows."""

    def __init__(self) -> None:
        self.spec = SPEC
        self.windows: list[Windows] = []

    def reset(self) -> None: ...

    def sample(
        self, windows: Windows, *, num_samples: int = 1, generator: Generators
    ) -> Candidates:
        self.windows.append(windows)
        t = round(float(windows.state[0, -1, 0]))
        chunk = np.stack([truth(t + h) for h in range(HORIZON)])
        return Candidates(np.tile(chunk, (1, num_samples, 1, 1)))


class Arm:
    """Gets one step further with every action that is not a hold; its clock runs on regardless."""

    def __init__(self, agent: Agent) -> None:
        self.agent = agent
        self.clock = 0
        self.progress = 0
        agent.reset(seed=0)

    def observation(self) -> Observation:
        state = ROBOT.proprioception(
            joint_positions=np.full(7, self.progress, float),
            gripper_m=0.04,
            ee_position=np.array([0.4, 0.0, 0.3]),
            base_R_ee=np.eye(3),
        )
        return Observation(stamp_ns=50 * self.clock, state=state)

    def step(self) -> Decision:
        decision = self.agent.act(self.observation())
        self.clock += 1
        self.progress += not decision.held
        return decision


def arm(
    schedule: str, latency: Callable[[int], int], **settings: object
) -> tuple[Arm, TruthfulPolicy]:
    policy = TruthfulPolicy()
    worker = InlineWorker(Planner(policy), latency=latency)
    config = AgentConfig(**{"execute_steps": 4, "schedule": schedule, **settings})  # type: ignore
    # No limits: they are none of the schedule's business, and the first joint only counts here.
    return Arm(Agent(worker, ROBOT, config=config, safety=SafetyFilter([]))), policy


latencies = st.lists(st.integers(0, 12), min_size=1, max_size=20)


@pytest.mark.parametrize("schedule", ALIGNED)
@settings(max_examples=25, deadline=None)
@given(pattern=latencies)
def test_whatever_the_latency_every_action_is_executed_once_and_in_order(
    schedule: str, pattern: list[int]
) -> None:
    driven, _ = arm(schedule, lambda number: pattern[number % len(pattern)])
    decisions = [driven.step() for _ in range(45)]
    sent = np.stack([d.action for d in decisions if not d.held])
    expected = np.stack([truth(t) for t in range(len(sent))])
    np.testing.assert_allclose(sent, expected, atol=1e-6)
    assert not any(d.reasons for d in decisions)


def test_without_alignment_actions_are_repeated() -> None:
    driven, _ = arm("naive", lambda _: 2)
    sent = np.stack([d.action for d in (driven.step() for _ in range(12)) if not d.held])
    np.testing.assert_array_equal(sent[:6], [truth(t) for t in range(6)])
    np.testing.assert_array_equal(sent[6:8], [truth(t) for t in (4, 5)])


@pytest.mark.parametrize("schedule", sorted(SCHEDULES))
def test_without_latency_the_arm_never_holds(schedule: str) -> None:
    driven, _ = arm(schedule, lambda _: 0)
    assert not any(driven.step().held for _ in range(30))


@pytest.mark.parametrize("schedule", ["async", "ensemble", "rtc"])
def test_a_plan_that_is_in_time_costs_no_step(schedule: str) -> None:
    """After the first plan, which nothing can be executed before."""
    driven, _ = arm(schedule, lambda _: 3)
    held = [driven.step().held for _ in range(40)]
    assert held == [True] * 3 + [False] * 37


def test_receding_holds_while_it_plans_and_begins_at_the_first_action() -> None:
    driven, _ = arm("receding", lambda _: 3)
    held = [driven.step().held for _ in range(14)]
    assert held == ([True] * 3 + [False] * 4) * 2


def test_a_hold_commands_no_motion_and_keeps_the_gripper() -> None:
    driven, _ = arm("async", lambda number: 0 if number == 0 else 100)
    decisions = [driven.step() for _ in range(HORIZON + 2)]
    assert [d.held for d in decisions] == [False] * HORIZON + [True] * 2
    np.testing.assert_array_equal(decisions[-1].action, [0] * 6 + [truth(HORIZON - 1)[-1]])


def test_a_plan_is_asked_for_early_where_the_chunk_would_not_last() -> None:
    """Ta + d > H: from the second chunk on the delay is known, and no step is lost to it."""
    driven, policy = arm("async", lambda _: 3, execute_steps=HORIZON)
    held = [driven.step().held for _ in range(30)]
    assert held == [True] * 3 + [False] * 27
    assert len(policy.windows) > 4


def test_a_plan_from_an_observation_that_was_old_already_is_joined_further_on() -> None:
    driven, _ = arm("receding", lambda _: 0, execute_steps=2)
    seen = driven.observation()
    sent = [driven.agent.act(seen, now_ns=50 * tick) for tick in range(4)]
    np.testing.assert_array_equal([d.action for d in sent], [truth(t) for t in range(4)])


@pytest.mark.parametrize("lateness", range(5))
def test_rtc_tells_the_policy_what_will_be_executed_while_it_plans(lateness: int) -> None:
    driven, policy = arm("rtc", lambda _: lateness)
    decisions = [driven.step() for _ in range(40)]
    sent = [d.action for d in decisions if not d.held]
    assert policy.windows[0].prefix is None
    for windows in policy.windows[1:]:
        if windows.prefix is None:
            continue
        assert windows.prefix_weights is not None
        assert windows.prefix.shape == (1, HORIZON, 7)
        begin = round(float(windows.state[0, -1, 0]))
        decided = int((windows.prefix_weights[0] == 1.0).sum())
        assert decided == lateness
        known = int((windows.prefix_weights[0] > 0).sum())
        expected = [truth(begin + i) for i in range(known)]
        np.testing.assert_allclose(windows.prefix[0, :known], expected, atol=1e-6)
        assert (np.diff(windows.prefix_weights[0]) <= 0).all()
    assert len(sent) > 30


def test_the_soft_mask_is_that_of_the_paper() -> None:
    weights = soft_mask(5, decided=2)
    c = np.array([3, 2, 1]) / 4
    np.testing.assert_allclose(weights[:2], 1.0)
    np.testing.assert_allclose(weights[2:], c * (np.e**c - 1) / (np.e - 1))
    np.testing.assert_array_equal(soft_mask(3, decided=3), [1, 1, 1])


def test_rtc_wants_a_policy_that_joins_prefixes() -> None:
    policy = TruthfulPolicy()
    policy.spec = replace(SPEC, joins_prefix=False)
    with pytest.raises(ConfigError, match=r"schedule rtc: .*joins_prefix"):
        Agent(policy, ROBOT, config=AgentConfig(schedule="rtc"))


def test_unknown_schedules_and_wrong_settings_are_refused() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown schedule 'asynch'.*did you mean 'async'"):
        Agent(TruthfulPolicy(), ROBOT, config=AgentConfig(schedule="asynch"))
    with pytest.raises(ConfigError, match="blend_steps: too small"):
        AgentConfig(blend_steps=-1)


def test_the_oldest_chunk_counts_most_in_the_ensemble() -> None:
    spec = replace(SPEC, horizon=3)
    ensemble = SCHEDULES["ensemble"](spec, AgentConfig(ensemble_decay=0.5))
    nothing = np.zeros((0, 7), np.float32)
    ensemble.put(np.full((3, 7), 1.0, np.float32), executed=nothing)
    ensemble.put(np.full((3, 7), 4.0, np.float32), executed=np.zeros((2, 7), np.float32))
    w = np.exp(-0.5)
    np.testing.assert_allclose(ensemble.take(), (1 + 4 * w) / (1 + w), rtol=1e-6)
    np.testing.assert_allclose(ensemble.take(), 1.0)
    ensemble.take()
    assert ensemble.take() is None


def test_orientations_are_averaged_as_rotations() -> None:
    """Half a turn less and half a turn more than a little are close to each other."""
    turns = np.array([[np.pi - 0.1, 0, 0], [-(np.pi - 0.1), 0, 0]])
    actions = np.concatenate([np.zeros((2, 3)), turns, np.ones((2, 1))], axis=1)
    mean = mean_action(actions.astype(np.float32), np.array([0.5, 0.5]), space=ActionSpace.EE_POSE)
    assert np.linalg.norm(mean[3:6]) == pytest.approx(np.pi, abs=1e-6)


@pytest.mark.parametrize(
    ("latency_ms", "steps"), [(0, 0), (1, 1), (50, 1), (51, 2), (100, 2), (200, 4)]
)
def test_a_latency_is_as_many_steps_as_it_covers(latency_ms: float, steps: int) -> None:
    assert latency_steps(1e-3 * latency_ms, 0.05) == steps


def test_an_interruption_drops_the_chunk_and_the_plan_under_way() -> None:
    driven, policy = arm("async", lambda number: 0 if number == 0 else 2)
    for _ in range(5):
        driven.step()
    driven.agent.interrupt()
    plans = len(policy.windows)
    assert driven.step().held
    assert len(policy.windows) == plans + 1
    driven.step()
    np.testing.assert_allclose(driven.step().action, truth(5), atol=1e-6)
