"""Which observations are acted upon, and when the arm is held instead; no ROS, a fake clock."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from robot_policy.core.errors import SpecError
from robot_policy.core.observation import Candidates, Windows
from robot_policy.core.policy import Generators
from robot_policy.core.robot import RobotDescription
from robot_policy.core.specs import ArraySpec, PolicySpec, image_spec
from robot_policy.runtime.agent import Agent
from robot_policy.runtime.agent_config import AgentConfig
from robot_policy.runtime.clock import FakeClock
from robot_policy.runtime.inline_worker import InlineWorker
from robot_policy.runtime.planning import Plan, Planner
from robot_policy.runtime.ticker import Ticker
from robot_policy.runtime.worker import Worker, WorkerDiedError
from robot_policy_ros.control_loop import ControlLoop
from robot_policy_ros.inputs import EE_POSE, ENVIRONMENT_STATE, JOINT_STATES, Inputs, Joints, Pose
from robot_policy_ros.loop_statistics import LoopStatistics
from robot_policy_ros.pacing import Pace, Pacer
from robot_policy_ros.received_command import ReceivedCommand

MS = 1_000_000
PERIOD = 50 * MS
MAX_AGE = 300 * MS


class Recorder:
    """Notes what the loop sends."""

    def __init__(self) -> None:
        self.actions: list[np.ndarray] = []
        self.faults: list[str] = []

    def command(self, action: np.ndarray) -> None:
        self.actions.append(action)

    def planned(self, duration_ms: float) -> None:
        assert duration_ms >= 0

    def fault(self, reason: str) -> None:
        self.faults.append(reason)


class SlowPolicy:
    """Takes as long as told, by the fake clock."""

    def __init__(self, spec: PolicySpec, clock: FakeClock) -> None:
        self.spec = spec
        self.clock = clock
        self.duration_ns = 0
        self.action = np.array([0, 0, 0.01, 0, 0, 0, 1], np.float32)
        self.error: Exception | None = None

    def reset(self) -> None: ...

    def sample(
        self, windows: Windows, *, num_samples: int = 1, generator: Generators
    ) -> Candidates:
        self.clock.advance_ns(self.duration_ns)
        if self.error is not None:
            raise self.error
        shape = (1, num_samples, self.spec.horizon, 7)
        return Candidates(np.broadcast_to(self.action, shape).copy())


class Rig:
    """A control loop whose time and messages are set by hand."""

    def __init__(
        self,
        robot: RobotDescription,
        *,
        pace: Pace = Pace.OBSERVATIONS,
        horizon: int = 1,
        worker: Callable[[Planner], Worker] = InlineWorker,
        schedule: str = "receding",
    ) -> None:
        self.clock = FakeClock(10**12)
        self.policy = SlowPolicy(replace(robot.spec(), horizon=horizon), self.clock)
        planner = Planner(self.policy, clock=self.clock)
        config = AgentConfig(execute_steps=1, schedule=schedule)
        agent = Agent(worker(planner), robot, config=config)
        self.inputs = Inputs(robot, self.policy.spec, max_age_ns=MAX_AGE, instruction="")
        self.sent = Recorder()
        self.loop = ControlLoop(
            agent,
            self.inputs,
            self.sent,
            pace=pace,
            period_ns=PERIOD,
            max_age_ns=MAX_AGE,
            now_ns=self.clock.now_ns,
            clock=self.clock,
        )
        self.loop.reset(seed=0)

    def observe(self, *, x: float = 0.5) -> None:
        stamp_ns = self.clock.now_ns()
        pose = Pose(np.array([x, 0, 0.2]), np.eye(3))
        self.inputs.put(EE_POSE, pose, stamp_ns=stamp_ns)
        self.inputs.put(JOINT_STATES, Joints(np.zeros(7), 0.04), stamp_ns=stamp_ns)

    def step(self, *, ms: int = 50) -> None:
        self.clock.advance_ns(ms * MS)
        self.loop.tick()


@pytest.fixture
def rig(robot: RobotDescription) -> Rig:
    return Rig(robot)


def is_hold(action: np.ndarray) -> bool:
    return not action[:6].any()


def test_every_observation_is_decided_upon_once(rig: Rig) -> None:
    for _ in range(3):
        rig.clock.advance_ns(PERIOD)
        rig.observe()
        rig.loop.tick()
        rig.loop.tick()
    assert len(rig.sent.actions) == 3
    assert all(a[2] == pytest.approx(0.01) for a in rig.sent.actions)


def test_nothing_is_sent_before_the_first_observation(rig: Rig) -> None:
    for _ in range(20):
        rig.step()
    assert rig.sent.actions == []


def test_stale_input_is_answered_by_holding_with_the_gripper_as_it_was(rig: Rig) -> None:
    rig.observe()
    rig.loop.tick()
    assert rig.sent.actions[-1][6] == 1.0
    for _ in range(6):
        rig.step()
    assert len(rig.sent.actions) == 1
    for _ in range(4):
        rig.step()
    holds = rig.sent.actions[1:]
    assert len(holds) == 4
    assert all(is_hold(a) and a[6] == 1.0 for a in holds)
    rig.observe()
    rig.step(ms=1)
    assert not is_hold(rig.sent.actions[-1])


def test_an_observation_that_was_old_on_arrival_is_not_acted_upon(rig: Rig) -> None:
    rig.observe()
    rig.clock.advance_ns(MAX_AGE + 1)
    rig.loop.tick()
    assert all(is_hold(a) for a in rig.sent.actions)


@pytest.mark.parametrize("kind", ["nan", "error", "crash"])
def test_a_failing_policy_is_a_fault_until_reset(rig: Rig, kind: str) -> None:
    good = rig.policy.action
    if kind == "nan":
        rig.policy.action = np.full(7, np.nan, np.float32)
    else:
        rig.policy.error = RuntimeError("out of memory") if kind == "crash" else SpecError("bad")
    rig.observe()
    rig.loop.tick()
    assert rig.loop.fault is not None
    assert rig.sent.faults == [rig.loop.fault]
    for _ in range(3):
        rig.clock.advance_ns(PERIOD)
        rig.observe()
        rig.loop.tick()
    assert len(rig.sent.actions) == 4
    assert all(is_hold(a) for a in rig.sent.actions)
    rig.policy.action, rig.policy.error = good, None
    rig.loop.reset(seed=1)
    rig.clock.advance_ns(PERIOD)
    rig.observe()
    rig.loop.tick()
    assert rig.loop.fault is None
    assert not is_hold(rig.sent.actions[-1])


def test_a_slow_decision_is_late_and_not_followed_by_one_on_an_older_observation(rig: Rig) -> None:
    rig.policy.duration_ns = 70 * MS
    rig.observe()
    first_ns = rig.clock.now_ns()
    rig.loop.tick()
    pose = Pose(np.array([0.5, 0, 0.2]), np.eye(3))
    during_ns = first_ns + PERIOD
    rig.inputs.put(EE_POSE, pose, stamp_ns=during_ns)
    rig.inputs.put(JOINT_STATES, Joints(np.zeros(7), 0.04), stamp_ns=during_ns)
    rig.loop.tick()
    assert len(rig.sent.actions) == 1
    assert rig.loop.statistics.late == 1
    rig.step(ms=30)
    rig.observe()
    rig.loop.tick()
    assert len(rig.sent.actions) == 2


def test_a_decision_that_took_too_long_is_thrown_away(rig: Rig) -> None:
    rig.policy.duration_ns = MAX_AGE + MS
    rig.observe()
    rig.loop.tick()
    assert [is_hold(a) for a in rig.sent.actions] == [True]


def test_the_watchdog_holds_while_a_decision_hangs(rig: Rig) -> None:
    rig.observe()

    class Watched(SlowPolicy):
        def sample(self, windows: Windows, **options: Any) -> Candidates:
            rig.clock.advance_ns(PERIOD)
            rig.loop.watch()
            assert rig.sent.actions == []
            rig.clock.advance_ns(MAX_AGE)
            rig.loop.watch()
            assert [is_hold(a) for a in rig.sent.actions] == [True]
            return super().sample(windows, **options)

    watched = Watched(rig.policy.spec, rig.clock)
    rig.loop._agent.worker = InlineWorker(Planner(watched, clock=rig.clock))
    rig.loop.tick()
    assert all(is_hold(a) for a in rig.sent.actions)
    rig.loop.watch()
    assert len(rig.sent.actions) == 2


class ByHand(InlineWorker):
    """Delivers a plan when the test says so, and dies when it says so."""

    def __init__(self, planner: Planner) -> None:
        super().__init__(planner)
        self.ready = True
        self.dead = False

    def poll(self, *, tick: int, timeout_s: float = 0.0) -> Plan | None:
        if self.dead:
            raise WorkerDiedError("the policy's process has ended with exit status -9")
        return super().poll(tick=tick) if self.ready else None


@pytest.fixture
def timed(robot: RobotDescription) -> Rig:
    return Rig(robot, pace=Pace.CLOCK, horizon=4, worker=ByHand, schedule="async")


def by_hand(rig: Rig) -> ByHand:
    worker = rig.loop._agent.worker
    assert isinstance(worker, ByHand)
    return worker


def test_by_the_clock_there_is_a_command_in_every_period(timed: Rig) -> None:
    """Also where no new observation has arrived, or only half of its messages."""
    timed.observe()
    timed.loop.tick()
    timed.step()
    timed.clock.advance_ns(PERIOD)
    timed.inputs.put(JOINT_STATES, Joints(np.zeros(7), 0.04), stamp_ns=timed.clock.now_ns())
    timed.loop.tick()
    assert len(timed.sent.actions) == 3
    assert not any(is_hold(action) for action in timed.sent.actions)


def test_commands_go_on_while_a_plan_is_under_way_and_hold_at_the_end_of_the_chunk(
    timed: Rig,
) -> None:
    timed.observe()
    timed.loop.tick()
    by_hand(timed).ready = False
    for _ in range(5):
        timed.observe()
        timed.step()
    assert [is_hold(action) for action in timed.sent.actions] == [False] * 4 + [True] * 2
    assert timed.loop.statistics.starved == 2
    assert timed.loop.fault is None
    by_hand(timed).ready = True
    timed.observe()
    timed.step()
    assert not is_hold(timed.sent.actions[-1])


def test_by_the_clock_stale_input_is_answered_by_holding_at_once(robot: RobotDescription) -> None:
    timed = Rig(robot, pace=Pace.CLOCK, horizon=16, schedule="async")
    timed.observe()
    timed.loop.tick()
    for _ in range(8):
        timed.step()
    # Six periods of 50 ms are no more than the 300 ms of MAX_AGE.
    assert [is_hold(action) for action in timed.sent.actions] == [False] * 7 + [True] * 2
    timed.observe()
    timed.step(ms=1)
    assert not is_hold(timed.sent.actions[-1])


def test_an_observation_is_good_for_no_more_actions_than_a_chunk_has(timed: Rig) -> None:
    """However often one plans from it: its chunks end where the first one ended."""
    timed.observe()
    timed.loop.tick()
    for _ in range(5):
        timed.step()
    assert [is_hold(action) for action in timed.sent.actions] == [False] * 4 + [True] * 2


def test_after_a_break_the_arm_does_not_go_on_in_the_old_chunk(timed: Rig) -> None:
    timed.observe()
    timed.loop.tick()
    by_hand(timed).ready = False
    timed.step(ms=1000)
    timed.observe()
    timed.step(ms=1)
    assert is_hold(timed.sent.actions[-1])


def test_a_dead_worker_is_a_fault(timed: Rig) -> None:
    timed.observe()
    timed.loop.tick()
    by_hand(timed).dead = True
    timed.observe()
    timed.step()
    assert timed.sent.faults == ["the policy's process has ended with exit status -9"]
    assert is_hold(timed.sent.actions[-1])


def test_the_thread_ticks_at_the_deadlines_of_its_clock(timed: Rig) -> None:
    """The clock jumps to every deadline; the tenth command ends the thread."""

    class Enough(Recorder):
        def command(self, action: np.ndarray) -> None:
            super().command(action)
            if len(self.actions) == 10:
                timed.loop._stopping.set()

    timed.loop._outputs = timed.sent = Enough()
    timed.observe()
    timed.loop.start()
    assert timed.loop._thread is not None
    timed.loop._thread.join(60)
    timed.loop.stop()
    assert timed.loop.statistics.ticks == 10
    assert timed.loop.statistics.missed == 0
    values = timed.loop.statistics.values()
    assert values["lateness p99.9 [ms]"] == "0.000"
    assert values["lateness histogram [ms]"].startswith("<=0.02: 10, <=0.05: 0, ")
    assert timed.clock.now_ns() == 10**12 + 10 * PERIOD


def test_missed_deadlines_are_counted_and_not_made_up_for() -> None:
    clock = FakeClock()
    ticker = Ticker(PERIOD, clock)
    statistics = LoopStatistics()
    ticker.start()
    statistics.ticked(ticker.wait())
    clock.advance_ns(3 * PERIOD + 7 * MS)
    late = ticker.wait()
    statistics.ticked(late)
    assert (late.missed, late.lateness_ns) == (2, 2 * PERIOD + 7 * MS)
    assert ticker.wait().lateness_ns == 0
    assert clock.now_ns() == 5 * PERIOD
    assert statistics.values()["missed ticks"] == "2"


def test_limited_actions_are_counted_with_their_reasons(rig: Rig) -> None:
    rig.policy.action = np.array([9, 0, 0, 0, 0, 0, 0], np.float32)
    rig.observe()
    rig.loop.tick()
    assert rig.sent.actions[0][0] == pytest.approx(0.05)
    values = rig.loop.statistics.values()
    assert values["limited actions"] == "1"
    assert values["limited: ee_dx out of command range"] == "1"


def test_messages_from_before_a_reset_are_ignored(rig: Rig) -> None:
    rig.loop.reset(seed=0)
    rig.clock.advance_ns(-MS)
    rig.observe()
    assert rig.inputs.state() is None


def test_pose_and_joints_must_belong_together(rig: Rig) -> None:
    rig.observe()
    rig.clock.advance_ns(PERIOD)
    now_ns = rig.clock.now_ns()
    rig.inputs.put(JOINT_STATES, Joints(np.zeros(7), 0.04), stamp_ns=now_ns)
    assert rig.inputs.observation(now_ns) is None
    rig.observe()
    assert rig.inputs.observation(now_ns) is not None


def test_images_are_taken_as_of_the_joint_state(robot: RobotDescription) -> None:
    spec = replace(robot.spec(), cameras={"wrist": image_spec(2, 2)})
    inputs = Inputs(robot, spec, max_age_ns=MAX_AGE, instruction="lift")
    for stamp_ns in (10, 20, 30):
        inputs.put("wrist", np.full((2, 2, 3), stamp_ns, np.uint8), stamp_ns=stamp_ns * MS)
    inputs.put(EE_POSE, Pose(np.zeros(3), np.eye(3)), stamp_ns=25 * MS)
    assert inputs.observation(30 * MS) is None
    inputs.put(JOINT_STATES, Joints(np.zeros(7), 0.04), stamp_ns=25 * MS)
    observation = inputs.observation(30 * MS)
    assert observation is not None
    assert observation.images["wrist"][0, 0, 0] == 20
    assert observation.instruction == "lift"


def test_problems_name_every_input_that_cannot_be_used(robot: RobotDescription) -> None:
    privileged = ArraySpec(shape=(1,), names=("cube_z",))
    spec = replace(robot.spec(), environment_state=privileged)
    inputs = Inputs(robot, spec, max_age_ns=MAX_AGE, instruction="")
    inputs.put(JOINT_STATES, Joints(np.zeros(7), 0.04), stamp_ns=0)
    inputs.put(EE_POSE, Pose(np.zeros(3), np.eye(3)), stamp_ns=400 * MS)
    inputs.put(ENVIRONMENT_STATE, np.zeros(1), stamp_ns=400 * MS)
    inputs.reject(ENVIRONMENT_STATE, "other entries")
    assert inputs.problems(400 * MS) == (
        "joint_states: 0.40 s old",
        "environment_state: other entries",
    )


@pytest.mark.parametrize("rate_hz", [20, 30, 100, 1000])
def test_the_pacer_keeps_the_control_rate_at_any_rate_of_observations(rate_hz: int) -> None:
    pacer = Pacer(PERIOD)
    rng = np.random.default_rng(0)
    jitter_ns = 2 * MS if rate_hz == 20 else 0
    taken = 0
    for i in range(10 * rate_hz):
        stamp_ns = round((i + 1) * 1e9 / rate_hz + rng.uniform(-jitter_ns, jitter_ns))
        if pacer.due(stamp_ns):
            pacer.decided(stamp_ns, sent_ns=stamp_ns + MS)
            taken += 1
    assert taken == pytest.approx(200, abs=2)


def test_a_command_is_executed_once_then_the_arm_holds() -> None:
    command = ReceivedCommand(periods=1)
    command.reset(now_ns=0)
    assert not command.started
    command.put_gripper(1.0)
    command.put_motion(np.full(6, 0.01), stamp_ns=10 * MS)
    assert command.started
    action, held = command.take(50 * MS, period_ns=PERIOD)
    assert not held
    assert action == pytest.approx([0.01] * 6 + [1.0])
    action, held = command.take(100 * MS, period_ns=PERIOD)
    assert held
    assert action == pytest.approx([0.0] * 6 + [1.0])


def test_places_are_gone_to_one_after_the_other_and_kept() -> None:
    command = ReceivedCommand(periods=1, size=7, places=True)
    command.reset(now_ns=0)
    places = np.arange(1, 4)[:, None] * np.ones(7)
    command.put_motion(places, stamp_ns=10 * MS)
    taken = [command.take(i * PERIOD, period_ns=PERIOD) for i in range(1, 6)]
    assert [action[0] for action, _ in taken] == [1, 2, 3, 3, 3]
    assert [held for _, held in taken] == [False, False, False, True, True]
    command.put_motion(places, stamp_ns=300 * MS)
    command.take(0, period_ns=PERIOD)
    command.put_motion(9 * places[0], stamp_ns=310 * MS)  # replaces what is left
    assert command.take(0, period_ns=PERIOD)[0][0] == 9
    assert command.take(0, period_ns=PERIOD)[1]


def test_old_commands_are_not_executed() -> None:
    command = ReceivedCommand(periods=1)
    command.reset(now_ns=20 * MS)
    command.put_motion(np.full(6, 0.01), stamp_ns=10 * MS)
    assert not command.started
    command.put_motion(np.full(6, 0.01), stamp_ns=30 * MS)
    assert command.take(30 * MS + 3 * PERIOD, period_ns=PERIOD)[1]
