"""What every limit promises, in every action space, whatever was commanded before."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from robot_policy.core.geometry import matrix_from_rotvec, rotvec_from_matrix
from robot_policy.core.robot import Box, Response, RobotDescription, load_robot
from robot_policy.core.specs import ActionSpace
from robot_policy.runtime.hold import hold_action
from robot_policy.runtime.safety.safety_filter import LIMITS, SafetyFilter
from robot_policy.runtime.safety.sent import Sent

TWIN = load_robot("panda_twin")
DT_S = TWIN.dt_s
_BOXES = (
    Box((0.45, -0.1, -0.2), (0.60, 0.1, 0.1)),
    Box((0.3, 0.2, 0.2), (0.301, 0.4, 0.5)),  # thinner than a step
)
_JOINTS = TWIN.joint_limits


def _variant(space: ActionSpace, low: tuple[float, ...], high: tuple[float, ...]):
    command = replace(
        TWIN.command,
        action_space=space,
        low=(*low, 0.0),
        high=(*high, 1.0),
        response=Response(0.5, 0.4, 0.3),
    )
    return replace(
        TWIN,
        command=command,
        workspace=replace(TWIN.workspace, keep_out=_BOXES),
        gripper=replace(TWIN.gripper, speed=0.1),
        joint_limits=replace(_JOINTS, acceleration=(7.5,) * 7, jerk=(100.0,) * 7),
    )


_POSE = (*(2.0,) * 3, *(3.2,) * 3)
ROBOTS = {
    ActionSpace.EE_DELTA_POSE: _variant(
        ActionSpace.EE_DELTA_POSE, TWIN.command.low[:6], TWIN.command.high[:6]
    ),
    ActionSpace.EE_POSE: _variant(ActionSpace.EE_POSE, tuple(-x for x in _POSE), _POSE),
    ActionSpace.JOINT_POSITION: _variant(ActionSpace.JOINT_POSITION, _JOINTS.low, _JOINTS.high),
    ActionSpace.JOINT_DELTA: _variant(ActionSpace.JOINT_DELTA, (-0.2,) * 7, (0.2,) * 7),
}

parts = st.floats(-0.05, 1.05)
"""Where a joint is in its range, a little beyond it included."""


@st.composite
def states(draw: st.DrawFn) -> np.ndarray:
    """A state whose end effector is where the joints put it."""
    low, high = np.array(_JOINTS.low), np.array(_JOINTS.high)
    q = low + draw(arrays(np.float64, 7, elements=parts)) * (high - low)
    assert TWIN.kinematics is not None
    pose = TWIN.kinematics.pose(q)
    return TWIN.proprioception(
        joint_positions=q,
        gripper_m=draw(st.floats(0, 0.04)),
        ee_position=pose[:3, 3],
        base_R_ee=pose[:3, :3],
    )


@st.composite
def situations(draw: st.DrawFn, robot: RobotDescription) -> tuple[np.ndarray, np.ndarray, Sent]:
    """An action, a state, and what was sent before, near where the robot is or anywhere."""
    state = draw(states())
    size = robot.action_spec.size
    scale = draw(st.sampled_from([0.01, 0.1, 1.0, 10.0]))
    offsets = arrays(np.float32, size, elements=st.floats(-1, 1, width=32))
    rest = hold_action(robot, state, gripper=robot.gripper_fraction(state))
    action = (rest + scale * draw(offsets)).astype(np.float32)
    sent = Sent()
    for _ in range(draw(st.integers(0, 4))):
        before = (rest + 0.1 * draw(offsets)).astype(np.float32)
        sent = sent.then(before, rest=rest)
    return action, state, sent


SPACES = list(ROBOTS)
EXCESS = 1e-3
"""What rounding may exceed a bound by, relatively."""


def ways(robot: RobotDescription, action: np.ndarray, state: np.ndarray) -> tuple[np.ndarray, ...]:
    """Parts of the motion from here to where `action` leads, each along one straight line."""
    space, joints = robot.command.action_space, len(robot.joint_names)
    match space:
        case ActionSpace.JOINT_POSITION:
            return tuple((action[:joints] - state[:joints])[:, None])
        case ActionSpace.JOINT_DELTA:
            return tuple(action[:joints, None])
        case ActionSpace.EE_DELTA_POSE:
            return *action[:3, None], action[3:6]
        case ActionSpace.EE_POSE:
            R = matrix_from_rotvec(action[3:6]) @ robot.ee_rotation(state).T
            return *(action[:3] - robot.ee_position(state))[:, None], rotvec_from_matrix(R)


def position_after(robot: RobotDescription, action: np.ndarray, state: np.ndarray) -> np.ndarray:
    """Where the end effector is sent."""
    here = robot.ee_position(state).astype(np.float64)
    match robot.command.action_space:
        case ActionSpace.EE_DELTA_POSE:
            return here + action[:3]
        case ActionSpace.EE_POSE:
            return action[:3].astype(np.float64)
    q = state[:7] + np.concatenate(ways(robot, action, state))
    assert robot.kinematics is not None
    return robot.kinematics.pose(q)[:3, 3]


@pytest.mark.parametrize("space", SPACES)
@given(data=st.data())
@settings(deadline=None)
def test_filtering_again_changes_nothing(space: ActionSpace, data: st.DataObject) -> None:
    robot = ROBOTS[space]
    action, state, sent = data.draw(situations(robot))
    safety = SafetyFilter.from_robot(robot)
    once = safety.restrict(action, state, DT_S, sent=sent)
    assert not once.stop
    twice = safety.restrict(once.action, state, DT_S, sent=sent)
    np.testing.assert_array_equal(twice.action, once.action)
    assert twice.reasons == ()


@pytest.mark.parametrize("name", list(LIMITS))
@pytest.mark.parametrize("space", SPACES)
@given(data=st.data())
@settings(deadline=None, max_examples=25)
def test_each_limit_is_idempotent_and_explains_itself(
    space: ActionSpace, name: str, data: st.DataObject
) -> None:
    limit = LIMITS[name].from_robot(ROBOTS[space])
    if limit is None:
        assert name in ("step_length", "turn_angle")
        return
    action, state, sent = data.draw(situations(ROBOTS[space]))
    before = action.copy()
    once = limit.restrict(action, state, DT_S, sent=sent)
    np.testing.assert_array_equal(action, before)
    assert bool(once.reasons) == (not np.array_equal(once.action, action))
    twice = limit.restrict(once.action, state, DT_S, sent=sent)
    np.testing.assert_array_equal(twice.action, once.action)


@pytest.mark.parametrize("space", SPACES)
@given(data=st.data())
@settings(deadline=None)
def test_no_motion_is_widened_or_turned_round(space: ActionSpace, data: st.DataObject) -> None:
    robot = ROBOTS[space]
    action, state, sent = data.draw(situations(robot))
    result = SafetyFilter.from_robot(robot).restrict(action, state, DT_S, sent=sent).action
    pairs = zip(ways(robot, action, state), ways(robot, result, state), strict=True)
    for wanted, given_ in pairs:
        assert np.linalg.norm(given_) <= np.linalg.norm(wanted) * (1 + 1e-6) + 1e-6
        assert wanted @ given_ >= -1e-6
        # A part that is shortened keeps its direction.
        across = given_ - wanted * (given_ @ wanted) / max(wanted @ wanted, 1e-12)
        assert np.linalg.norm(across) < 1e-5


@pytest.mark.parametrize("space", SPACES)
@given(data=st.data())
@settings(deadline=None, max_examples=50)
def test_the_order_of_limits_does_not_matter(space: ActionSpace, data: st.DataObject) -> None:
    robot = ROBOTS[space]
    action, state, sent = data.draw(situations(robot))
    order = data.draw(st.permutations(list(LIMITS)))
    limits = [limit for name in order if (limit := LIMITS[name].from_robot(robot)) is not None]
    result = SafetyFilter(limits).restrict(action, state, DT_S, sent=sent)
    expected = SafetyFilter.from_robot(robot).restrict(action, state, DT_S, sent=sent)
    np.testing.assert_array_equal(result.action, expected.action)
    for limit in limits:  # one pass has satisfied them all
        again = limit.restrict(result.action, state, DT_S, sent=sent)
        np.testing.assert_array_equal(again.action, result.action)


@pytest.mark.parametrize("space", SPACES)
@given(data=st.data())
@settings(deadline=None)
def test_the_end_effector_stays_in_the_box_and_out_of_the_others(
    space: ActionSpace, data: st.DataObject
) -> None:
    robot = ROBOTS[space]
    action, state, sent = data.draw(situations(robot))
    result = SafetyFilter.from_robot(robot).restrict(action, state, DT_S, sent=sent).action
    here = robot.ee_position(state).astype(np.float64)
    there = position_after(robot, result, state)
    workspace = robot.workspace
    assert (there >= np.minimum(workspace.low, here) - 1e-5).all()
    assert (there <= np.maximum(workspace.high, here) + 1e-5).all()
    for box in workspace.keep_out:
        low, high = np.array(box.low), np.array(box.high)
        if not ((here > low) & (here < high)).all():
            assert not ((there > low) & (there < high)).all()


@pytest.mark.parametrize("space", SPACES)
@given(data=st.data())
@settings(deadline=None)
def test_steps_and_turns_are_bounded(space: ActionSpace, data: st.DataObject) -> None:
    robot = ROBOTS[space]
    action, state, sent = data.draw(situations(robot))
    result = SafetyFilter.from_robot(robot).restrict(action, state, DT_S, sent=sent).action
    assert 0.0 <= result[-1] <= 1.0
    longest, largest = robot.command.max_step_m, robot.command.max_turn_rad
    assert longest is not None
    assert largest is not None
    if space == ActionSpace.EE_DELTA_POSE:
        assert np.linalg.norm(result[:3]) <= longest * (1 + EXCESS)
        assert np.linalg.norm(result[3:6]) <= largest * (1 + EXCESS)
    if space == ActionSpace.EE_POSE and not sent.actions:
        assert np.linalg.norm(result[:3] - robot.ee_position(state)) <= longest * (1 + EXCESS)
        assert np.linalg.norm(ways(robot, result, state)[3]) <= largest * (1 + EXCESS)


@pytest.mark.parametrize("space", [ActionSpace.JOINT_POSITION, ActionSpace.JOINT_DELTA])
@given(data=st.data())
@settings(deadline=None)
def test_joints_keep_to_their_limits(space: ActionSpace, data: st.DataObject) -> None:
    """Position, velocity, acceleration and jerk, computed here from the commands themselves."""
    robot, limits = ROBOTS[space], ROBOTS[space].joint_limits
    action, state, sent = data.draw(situations(robot))
    result = SafetyFilter.from_robot(robot).restrict(action, state, DT_S, sent=sent).action
    here = state[:7].astype(np.float64)
    wanted = np.concatenate(ways(robot, result, state))
    assert (here + wanted >= np.minimum(limits.low, here) - 1e-5).all()
    assert (here + wanted <= np.maximum(limits.high, here) + 1e-5).all()
    v, v1, a1 = velocities(robot, result, state, sent.actions)
    assert limits.acceleration is not None
    assert limits.jerk is not None
    speed, change = np.array(limits.velocity), np.array(limits.acceleration) * DT_S
    jerk = np.array(limits.jerk) * DT_S
    back = moves_back(robot, wanted, sent.actions, state)
    for low, high in (
        (-speed, speed),
        (v1 - change, v1 + change),
        (v1 + (a1 - jerk) * DT_S, v1 + (a1 + jerk) * DT_S),
    ):
        # To go on more slowly is always allowed, and so is to stand still.
        assert (back | (v >= np.minimum(0.0, low) - EXCESS)).all()
        assert (back | (v <= np.maximum(0.0, high) + EXCESS)).all()


def velocities(
    robot: RobotDescription,
    action: np.ndarray,
    state: np.ndarray,
    before: tuple[np.ndarray, ...],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Velocity now, velocity before and acceleration before, of set points."""
    if robot.command.action_space == ActionSpace.JOINT_DELTA:
        part = robot.command.response.joints
        last = [np.zeros(7), np.zeros(7), *(x[:7] * part / DT_S for x in before)]
        return action[:7] * part / DT_S, last[-1], (last[-1] - last[-2]) / DT_S
    points = [*(x[:7].astype(np.float64) for x in (before or (state,))), action[:7]]
    points = [points[0]] * (4 - len(points)) + points
    speeds = np.diff(points, axis=0) / DT_S
    return speeds[-1], speeds[-2], (speeds[-2] - speeds[-3]) / DT_S


def moves_back(
    robot: RobotDescription, wanted: np.ndarray, before: tuple[np.ndarray, ...], state: np.ndarray
) -> np.ndarray:
    """Whether a set point lies between the last one and where the joint is."""
    if robot.command.action_space == ActionSpace.JOINT_DELTA or not before:
        return np.zeros(7, bool)
    last = before[-1][:7] - state[:7]
    return (wanted * last >= 0) & (np.abs(wanted) <= np.abs(last) + 1e-5)


@pytest.mark.parametrize("space", [ActionSpace.EE_DELTA_POSE, ActionSpace.EE_POSE])
@given(data=st.data())
@settings(deadline=None)
def test_joints_keep_to_their_limits_where_the_end_effector_is_commanded(
    space: ActionSpace, data: st.DataObject
) -> None:
    robot = ROBOTS[space]
    action, state, _ = data.draw(situations(robot))
    result = SafetyFilter.from_robot(robot).restrict(action, state, DT_S).action
    assert robot.kinematics is not None
    here, limits = state[:7].astype(np.float64), robot.joint_limits
    motion = np.concatenate(ways(robot, result, state)).astype(np.float64)
    if space == ActionSpace.EE_DELTA_POSE:
        response = robot.command.response
        motion *= np.repeat([response.translation, response.rotation], 3)
    joints = robot.kinematics.joint_motion(here) @ motion
    assert (here + joints >= np.minimum(limits.low, here) - 1e-4).all()
    assert (here + joints <= np.maximum(limits.high, here) + 1e-4).all()
    assert limits.acceleration is not None
    from_rest = np.minimum(limits.velocity, np.array(limits.acceleration) * DT_S)
    assert (np.abs(joints) <= from_rest * DT_S * (1 + EXCESS) + 1e-4).all()
