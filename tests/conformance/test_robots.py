"""What every robot description must do, whatever robot it describes."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from robot_policy.core.robot import RobotDescription, load_robot, robot_names
from robot_policy.core.specs import ActionSpace
from robot_policy.runtime.hold import hold_action
from robot_policy.runtime.safety.safety_filter import SafetyFilter

ROBOTS = {name: load_robot(name) for name in robot_names()}
FOLDER = Path(__file__).resolve().parents[2] / "ros2_ws/src/robot_policy_ros/config/robots"

PI = np.pi
PUBLISHED = {
    "fr3": (
        [-2.7437, -1.7837, -2.9007, -3.0421, -2.8065, 0.5445, -3.0159],
        [2.7437, 1.7837, 2.9007, -0.1518, 2.8065, 4.5169, 3.0159],
        [2.62, 2.62, 2.62, 2.62, 5.26, 4.18, 5.26],
    ),
    "ur5e": ([-2 * PI] * 6, [2 * PI] * 6, [PI] * 6),
    "xarm7": (
        [-2 * PI, -2.059, -2 * PI, -0.19198, -2 * PI, -1.69297, -2 * PI],
        [2 * PI, 2.0944, 2 * PI, 3.927, 2 * PI, PI, 2 * PI],
        [PI] * 7,
    ),
    "so101": (
        [-1.91986, -1.74533, -1.69, -1.65806, -2.74385],
        [1.91986, 1.74533, 1.69, 1.65806, 2.84121],
        [45 * 2 * PI / 60] * 5,
    ),
}
"""What the makers say the joints can do at most: low, high [rad], velocity [rad/s]."""

KNOWN_PLACES = {
    "fr3": ([0, -PI / 4, 0, -3 * PI / 4, 0, PI / 2, PI / 4], [0.3069, 0.0, 0.4869]),
    "ur5e": ([0.0] * 6, [-(0.425 + 0.3922), -(0.1333 + 0.0996), 0.1625 - 0.0997]),
    "xarm7": ([0.0] * 7, [0.206, 0.0, 0.1205 - 0.172]),
    "so101": ([0.0] * 5, [0.3914, 0.0, 0.2265]),
}
"""Joint angles, and where the makers' own models put the end effector [m]."""

robots = pytest.mark.parametrize("robot", ROBOTS.values(), ids=list(ROBOTS))


def state_at(robot: RobotDescription, q: np.ndarray, *, gripper: float = 0.5) -> np.ndarray:
    """The state in which the joints are at `q`."""
    position, R = np.mean([robot.workspace.low, robot.workspace.high], axis=0), np.eye(3)
    if robot.kinematics is not None:
        pose = robot.kinematics.pose(q)
        position, R = pose[:3, 3], pose[:3, :3]
    return robot.proprioception(
        joint_positions=q,
        gripper_m=robot.gripper.position_from_fraction(gripper),
        ee_position=position,
        base_R_ee=R,
    )


def middle(robot: RobotDescription) -> np.ndarray:
    return np.mean([robot.joint_limits.low, robot.joint_limits.high], axis=0)


@robots
def test_limits_name_their_source(robot: RobotDescription) -> None:
    """A limit without a source cannot be checked by whoever relies on it."""
    text = (FOLDER / f"{robot.name}.yaml").read_text()
    assert "https://" in text or "extends:" in text


@pytest.mark.parametrize("name", list(PUBLISHED))
def test_no_limit_is_wider_than_the_maker_s(name: str) -> None:
    limits, (low, high, velocity) = ROBOTS[name].joint_limits, PUBLISHED[name]
    assert (np.array(limits.low) >= np.array(low) - 1e-4).all()
    assert (np.array(limits.high) <= np.array(high) + 1e-4).all()
    assert (np.array(limits.velocity) <= np.array(velocity) + 1e-2).all()


@pytest.mark.parametrize("name", list(KNOWN_PLACES))
def test_the_end_effector_is_where_the_maker_s_model_puts_it(name: str) -> None:
    chain, (q, place) = ROBOTS[name].kinematics, KNOWN_PLACES[name]
    assert chain is not None
    np.testing.assert_allclose(chain.pose(np.array(q))[:3, 3], place, atol=2e-4)


def test_the_robots_that_ship() -> None:
    assert {"panda_twin", "fr3", "ur5e", "xarm7", "so101"} <= set(ROBOTS)


@robots
def test_specs_fit_each_other(robot: RobotDescription) -> None:
    spec = robot.spec(cameras=tuple(robot.cameras))
    assert spec.action.size == len(robot.command.low)
    assert spec.state.size == len(robot.joint_names) + 10
    state = state_at(robot, middle(robot))
    spec.state.validate(state, where="state")
    np.testing.assert_allclose(robot.joint_positions(state), middle(robot), rtol=1e-6, atol=1e-6)
    assert robot.gripper_fraction(state) == pytest.approx(0.5)
    rotation = robot.ee_rotation(state)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-6)


@robots
def test_joint_commands_stay_within_the_joints_ranges(robot: RobotDescription) -> None:
    if robot.command.action_space == ActionSpace.JOINT_POSITION:
        assert (np.array(robot.command.low[:-1]) >= robot.joint_limits.low).all()
        assert (np.array(robot.command.high[:-1]) <= robot.joint_limits.high).all()


@robots
def test_somewhere_in_the_workspace_the_arm_can_be(robot: RobotDescription) -> None:
    """The kinematics and the box are of the same robot."""
    if robot.kinematics is None:
        return
    rng = np.random.default_rng(0)
    low, high = np.array(robot.joint_limits.low), np.array(robot.joint_limits.high)
    places = robot.kinematics.pose(rng.uniform(low, high, (2000, len(low))))[:, :3, 3]
    inside = (places > robot.workspace.low) & (places < robot.workspace.high)
    assert inside.all(axis=1).mean() > 0.02


@robots
@given(data=st.data())
@settings(deadline=None, max_examples=30)
def test_holding_is_an_action_that_no_limit_changes(
    robot: RobotDescription, data: st.DataObject
) -> None:
    parts = data.draw(arrays(np.float64, len(robot.joint_names), elements=st.floats(0.1, 0.9)))
    low, high = np.array(robot.joint_limits.low), np.array(robot.joint_limits.high)
    gripper = data.draw(st.floats(0, 1))
    state = state_at(robot, low + parts * (high - low), gripper=gripper)
    hold = hold_action(robot, state, gripper=robot.gripper_fraction(state))
    robot.action_spec.validate(hold, where="hold")
    safety = SafetyFilter.from_robot(robot)
    decision = safety.restrict(hold, state, robot.dt_s)
    assert not decision.stop
    np.testing.assert_array_equal(decision.action, hold)
    chunk = np.tile(hold, (8, 1))
    assert safety.check_chunk(chunk, state, robot.dt_s) == ()


@robots
@given(data=st.data())
@settings(deadline=None, max_examples=30)
def test_whatever_is_asked_stays_within_the_limits(
    robot: RobotDescription, data: st.DataObject
) -> None:
    low, high = np.array(robot.joint_limits.low), np.array(robot.joint_limits.high)
    parts = data.draw(arrays(np.float64, len(low), elements=st.floats(0, 1)))
    state = state_at(robot, low + parts * (high - low))
    anything = st.floats(-10, 10, width=32)
    action = data.draw(arrays(np.float32, robot.action_spec.size, elements=anything))
    safety = SafetyFilter.from_robot(robot)
    once = safety.restrict(action, state, robot.dt_s)
    assert not once.stop
    command_low = np.float32(robot.command.low)
    command_high = np.float32(robot.command.high)
    if not robot.command.action_space.is_delta:
        rest = hold_action(robot, state, gripper=0.5)
        command_low, command_high = np.minimum(command_low, rest), np.maximum(command_high, rest)
    assert (once.action >= command_low).all()
    assert (once.action <= command_high).all()
    twice = safety.restrict(once.action, state, robot.dt_s)
    np.testing.assert_array_equal(twice.action, once.action)
