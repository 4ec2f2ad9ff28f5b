"""Whole chunks are looked at before their first action runs."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from robot_policy.core.observation import Candidates, Observation, Windows
from robot_policy.core.policy import Generators
from robot_policy.core.robot import RobotDescription, load_robot
from robot_policy.core.specs import ActionSpace
from robot_policy.runtime.agent import Agent, AgentConfig
from robot_policy.runtime.hold import hold_action
from robot_policy.runtime.inline_worker import InlineWorker
from robot_policy.runtime.planning import Planner
from robot_policy.runtime.safety.safety_filter import SafetyFilter
from robot_policy.runtime.safety.sent import Sent

TWIN = load_robot("panda_twin")
DT_S = TWIN.dt_s
HOME = np.array([0.0, 0.3, 0.0, -2.0, 0.0, 2.3, 0.8])
LIMITS = TWIN.joint_limits


def commanded(space: ActionSpace, low: float | tuple, high: float | tuple) -> RobotDescription:
    low, high = (x if isinstance(x, tuple) else (x,) * 6 for x in (low, high))
    command = replace(TWIN.command, action_space=space, low=(*low, 0.0), high=(*high, 1.0))
    return replace(TWIN, command=command)


ROBOTS = {
    ActionSpace.EE_DELTA_POSE: TWIN,
    ActionSpace.EE_POSE: commanded(ActionSpace.EE_POSE, -4.0, 4.0),
    ActionSpace.JOINT_POSITION: commanded(ActionSpace.JOINT_POSITION, LIMITS.low, LIMITS.high),
    ActionSpace.JOINT_DELTA: commanded(ActionSpace.JOINT_DELTA, (-0.1,) * 7, (0.1,) * 7),
}
STEP = {
    ActionSpace.EE_DELTA_POSE: 0.1,
    ActionSpace.EE_POSE: 2 * 0.07,
    ActionSpace.JOINT_POSITION: 2 * LIMITS.velocity[0] * DT_S,
    ActionSpace.JOINT_DELTA: 0.2,
}
"""Largest difference in the first entry between two actions that follow each other."""


def state() -> np.ndarray:
    assert TWIN.kinematics is not None
    pose = TWIN.kinematics.pose(HOME)
    return TWIN.proprioception(
        joint_positions=HOME, gripper_m=0.04, ee_position=pose[:3, 3], base_R_ee=pose[:3, :3]
    )


def resting_chunk(robot: RobotDescription, length: int = 8) -> np.ndarray:
    return np.tile(hold_action(robot, state(), gripper=0.0), (length, 1))


@pytest.mark.parametrize("space", list(ROBOTS))
@pytest.mark.parametrize("at", [1, 4, 7])
def test_a_jump_anywhere_is_found_and_named(space: ActionSpace, at: int) -> None:
    safety, chunk = SafetyFilter.from_robot(ROBOTS[space]), resting_chunk(ROBOTS[space])
    assert safety.check_chunk(chunk, state(), DT_S) == ()
    chunk[at:, 0] += 0.9 * STEP[space]
    assert safety.check_chunk(chunk, state(), DT_S) == ()
    chunk[at:, 0] += 0.2 * STEP[space]
    assert safety.check_chunk(chunk, state(), DT_S) == (f"the chunk jumps at action {at}",)


@pytest.mark.parametrize("space", [ActionSpace.EE_POSE, ActionSpace.JOINT_POSITION])
def test_the_first_action_counts_from_the_last_command(space: ActionSpace) -> None:
    robot = ROBOTS[space]
    safety, chunk = SafetyFilter.from_robot(robot), resting_chunk(robot)
    chunk[:, 0] += 1.1 * STEP[space]
    assert safety.check_chunk(chunk, state(), DT_S) == ("the chunk jumps at action 0",)
    leading = chunk[0].copy()
    leading[0] -= 0.5 * STEP[space]
    sent = Sent().then(leading, rest=leading)
    assert safety.check_chunk(chunk, state(), DT_S, sent=sent) == ()


def test_a_turn_of_the_hand_may_jump_as_little_as_its_place() -> None:
    robot = ROBOTS[ActionSpace.EE_POSE]
    safety, chunk = SafetyFilter.from_robot(robot), resting_chunk(robot)
    length = float(np.linalg.norm(chunk[0, 3:6]))
    other_name = chunk[0, 3:6] * (1 - 2 * np.pi / length)
    chunk[4:, 3:6] = other_name  # the same rotation, by a vector far away
    assert safety.check_chunk(chunk, state(), DT_S) == ()
    chunk[5, 3:6] = 0.0
    assert safety.check_chunk(chunk, state(), DT_S) == ("the chunk jumps at action 5",)


@pytest.mark.parametrize("space", list(ROBOTS))
def test_the_gripper_may_jump(space: ActionSpace) -> None:
    chunk = resting_chunk(ROBOTS[space])
    chunk[3:, -1] = 1.0
    assert SafetyFilter.from_robot(ROBOTS[space]).check_chunk(chunk, state(), DT_S) == ()


@given(
    arrays(
        np.float32,
        (8, 7),
        elements=st.floats(-1, 1, width=32),
    )
)
def test_displacements_in_range_are_never_refused(unit: np.ndarray) -> None:
    low, high = np.float32(TWIN.command.low), np.float32(TWIN.command.high)
    chunk = np.clip((low + high) / 2 + unit * (high - low) / 2, low, high)
    assert SafetyFilter.from_robot(TWIN).check_chunk(chunk, state(), DT_S) == ()


@pytest.mark.parametrize(
    ("shape", "line"),
    [
        ((8, 6), "action has shape (8, 6), not (8, 7)"),
        ((7,), "action has shape (7,), not (7, 7)"),
        ((0, 6), "action has shape (0, 6), not (0, 7)"),
    ],
)
def test_wrong_shapes_are_refused(shape: tuple[int, ...], line: str) -> None:
    chunk = np.zeros(shape, np.float32)
    assert SafetyFilter.from_robot(TWIN).check_chunk(chunk, state(), DT_S) == (line,)


@pytest.mark.parametrize("space", list(ROBOTS))
def test_a_chunk_that_came_too_late_to_run_is_no_fault(space: ActionSpace) -> None:
    nothing = resting_chunk(ROBOTS[space])[8:]
    assert SafetyFilter.from_robot(ROBOTS[space]).check_chunk(nothing, state(), DT_S) == ()


def test_nan_anywhere_is_refused() -> None:
    chunk = resting_chunk(TWIN)
    chunk[7, 6] = np.nan
    safety = SafetyFilter.from_robot(TWIN)
    assert safety.check_chunk(chunk, state(), DT_S) == ("action is not finite",)
    assert safety.check_chunk(resting_chunk(TWIN), state() * np.nan, DT_S) == (
        "state is not finite",
    )


class OneChunk:
    """Answers with the same chunk, whatever it sees."""

    def __init__(self, chunk: np.ndarray) -> None:
        self.spec = replace(TWIN.spec(), horizon=len(chunk))
        self.chunk = chunk

    def reset(self) -> None: ...

    def sample(
        self, windows: Windows, *, num_samples: int = 1, generator: Generators
    ) -> Candidates:
        return Candidates(np.tile(self.chunk, (1, num_samples, 1, 1)))


@pytest.mark.parametrize("bad", [np.nan, 1.0])
def test_nothing_of_a_refused_chunk_is_executed(bad: float) -> None:
    """Not even the good actions before the bad one; the arm is held until a reset."""
    chunk = resting_chunk(TWIN)
    chunk[:, 2] = 0.01
    chunk[6, 2] = bad
    policy = OneChunk(chunk)
    agent = Agent(policy, TWIN, config=AgentConfig(execute_steps=8))
    agent.reset(seed=0)
    decisions = [agent.act(Observation(i, state())) for i in range(3)]
    assert all(decision.stop for decision in decisions)
    assert not any(decision.action[:6].any() for decision in decisions)
    expected = "action is not finite" if np.isnan(bad) else "the chunk jumps at action 6"
    assert decisions[0].reasons == (expected,)
    policy.chunk = resting_chunk(TWIN)
    policy.chunk[:, 2] = 0.01
    assert agent.act(Observation(3, state())).stop
    agent.reset(seed=0)
    assert agent.act(Observation(4, state())).action[2] == np.float32(0.01)


@pytest.mark.parametrize("latency", [1, 7, 8, 20])
def test_a_chunk_is_looked_at_from_its_beginning_however_late_it_comes(latency: int) -> None:
    """Of one that is over already nothing is left to look at, and nothing to refuse."""
    chunk = resting_chunk(TWIN)
    chunk[:, 2] = 0.01
    policy = OneChunk(chunk)
    worker = InlineWorker(Planner(policy), latency=lambda number: 0 if number == 0 else latency)
    agent = Agent(worker, TWIN, config=AgentConfig(execute_steps=1, schedule="async"))
    agent.reset(seed=0)
    decisions = [agent.act(Observation(i, state())) for i in range(25)]
    assert not any(decision.stop for decision in decisions)
    policy.chunk = chunk.copy()
    policy.chunk[0, 2] = np.nan
    decisions = [agent.act(Observation(25 + i, state())) for i in range(45)]
    assert decisions[-1].reasons == ("action is not finite",)
