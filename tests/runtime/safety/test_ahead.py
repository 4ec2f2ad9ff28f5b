"""What is planned for later keeps to the limits too, where an arm is sent whole chunks."""

from dataclasses import replace

import numpy as np
import pytest

from robot_policy.core.observation import Candidates, Observation, Windows
from robot_policy.core.policy import Generators
from robot_policy.core.robot import CommandInterface, load_robot
from robot_policy.core.specs import ActionSpace
from robot_policy.runtime.agent import Agent, AgentConfig
from robot_policy.runtime.safety.ahead import restricted_ahead, state_after
from robot_policy.runtime.safety.safety_filter import SafetyFilter
from robot_policy.runtime.safety.sent import AT_REST

ROBOT = load_robot("panda_twin_chunk")
HOME = np.array([0.0, 0.3, 0.0, -2.0, 0.0, 2.3, 0.8])
LARGEST = ROBOT.joint_limits.velocity[0] * ROBOT.dt_s


def state(q: np.ndarray = HOME) -> np.ndarray:
    assert ROBOT.kinematics is not None
    pose = ROBOT.kinematics.pose(q)
    return ROBOT.proprioception(
        joint_positions=q, gripper_m=0.04, ee_position=pose[:3, 3], base_R_ee=pose[:3, :3]
    )


def places(*first_joint: float) -> np.ndarray:
    return np.array([[x, *HOME[1:], 0.0] for x in first_joint], np.float32)


def test_later_actions_count_from_those_before_them() -> None:
    safety = SafetyFilter.from_robot(ROBOT)
    wanted = places(*np.linspace(0.2, 1.0, 5))
    allowed = restricted_ahead(safety, ROBOT, wanted, state=state(), sent=AT_REST)
    assert allowed.shape == wanted.shape
    steps = np.diff(allowed[:, 0], prepend=0.0)
    assert steps.max() == pytest.approx(LARGEST, rel=1e-3)
    np.testing.assert_array_equal(allowed[:, 1:], wanted[:, 1:])


def test_what_follows_ends_before_an_action_that_stops() -> None:
    wanted = places(0.01, 0.02, np.nan, 0.03)
    allowed = restricted_ahead(
        SafetyFilter.from_robot(ROBOT), ROBOT, wanted, state=state(), sent=AT_REST
    )
    np.testing.assert_array_equal(allowed, wanted[:2])


@pytest.mark.parametrize("space", [ActionSpace.JOINT_POSITION, ActionSpace.JOINT_DELTA])
def test_an_arm_that_has_followed_is_where_it_was_sent(space: ActionSpace) -> None:
    robot = replace(ROBOT, command=replace(ROBOT.command, action_space=space))
    target = HOME + 0.1
    joints = target if space == ActionSpace.JOINT_POSITION else target - HOME
    after = state_after(robot, np.append(joints, 1.0).astype(np.float32), state())
    expected = state(target)
    expected[7] = 1.0
    np.testing.assert_allclose(after, expected, atol=1e-5)


class Ramp:
    """Turns the first joint by 10 mrad a step, from where it is."""

    spec = replace(ROBOT.spec(), horizon=6)

    def reset(self) -> None: ...

    def sample(
        self, windows: Windows, *, num_samples: int = 1, generator: Generators
    ) -> Candidates:
        q = windows.state[0, -1, :7]
        chunk = np.tile(np.append(q, 0.0), (6, 1))
        chunk[:, 0] += 0.01 * np.arange(1, 7)
        return Candidates(np.tile(chunk.astype(np.float32), (1, num_samples, 1, 1)))


@pytest.mark.parametrize(
    ("schedule", "lengths"), [("receding", [3, 2, 1, 0]), ("ensemble", [5] * 4)]
)
def test_the_agent_tells_what_is_planned(schedule: str, lengths: list[int]) -> None:
    agent = Agent(Ramp(), ROBOT, config=AgentConfig(execute_steps=4, schedule=schedule))
    agent.reset(seed=0)
    found, q = [], HOME.copy()
    for step in range(4):
        decision = agent.act(Observation(step + 1, state(q)))
        assert decision.following is not None
        found.append(len(decision.following))
        if len(decision.following):
            assert decision.following[0, 0] > decision.action[0]
        q[0] = decision.action[0]
    assert found == lengths


def test_other_robots_are_told_one_action_at_a_time() -> None:
    command = replace(ROBOT.command, interface=CommandInterface.JOINT_TRAJECTORY)
    agent = Agent(Ramp(), replace(ROBOT, command=command), config=AgentConfig(execute_steps=4))
    agent.reset(seed=0)
    assert agent.act(Observation(1, state())).following is None
