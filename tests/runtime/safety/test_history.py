"""Limits that look back: velocity, acceleration and jerk count from what was sent."""

from dataclasses import replace

import numpy as np
import pytest

from robot_policy.core.robot import RobotDescription, load_robot
from robot_policy.core.specs import ActionSpace
from robot_policy.runtime.safety.joint_margin import MARGIN_RAD
from robot_policy.runtime.safety.safety_filter import LIMITS, SafetyFilter
from robot_policy.runtime.safety.sent import AT_REST, Sent

TWIN = load_robot("panda_twin")
DT_S = TWIN.dt_s
HOME = np.array([0.0, 0.3, 0.0, -2.0, 0.0, 2.3, 0.8])


def joint_robot(**limits: tuple[float, ...]) -> RobotDescription:
    low, high = (*TWIN.joint_limits.low, 0.0), (*TWIN.joint_limits.high, 1.0)
    command = replace(TWIN.command, action_space=ActionSpace.JOINT_POSITION, low=low, high=high)
    # No box: here only the joints matter.
    workspace = replace(TWIN.workspace, low=(-2.0,) * 3, high=(2.0,) * 3)
    joint_limits = replace(TWIN.joint_limits, **limits)
    return replace(TWIN, command=command, joint_limits=joint_limits, workspace=workspace)


def state_at(q: np.ndarray) -> np.ndarray:
    assert TWIN.kinematics is not None
    pose = TWIN.kinematics.pose(q)
    return TWIN.proprioception(
        joint_positions=q, gripper_m=0.04, ee_position=pose[:3, 3], base_R_ee=pose[:3, :3]
    )


def follow(robot: RobotDescription, target: float, steps: int) -> np.ndarray:
    """Set points (steps + 1,) of the first joint on its way to `target`; the arm follows."""
    safety, sent, q = SafetyFilter.from_robot(robot), AT_REST, HOME.copy()
    points = [q[0]]
    for _ in range(steps):
        state = state_at(q)
        action = np.append([target, *HOME[1:]], 0.0).astype(np.float32)
        decision = safety.restrict(action, state, DT_S, sent=sent)
        sent = sent.then(decision.action, rest=np.append(q, 0.0).astype(np.float32))
        q = decision.action[:7].astype(np.float64)
        points.append(q[0])
    return np.array(points)


def test_a_far_target_is_approached_with_bounded_velocity_and_acceleration() -> None:
    robot = joint_robot(velocity=(1.0,) * 7, acceleration=(5.0,) * 7, jerk=(1000.0,) * 7)
    points = follow(robot, 1.0, 40)
    speeds = np.diff(points) / DT_S
    assert speeds.max() == pytest.approx(1.0, rel=1e-3)
    gains = np.diff(speeds, prepend=0.0)
    assert gains.max() == pytest.approx(5.0 * DT_S, rel=1e-3)
    assert points[-1] == pytest.approx(1.0, abs=1e-6)
    assert (np.diff(points) >= -1e-6).all(), "it never goes back"


def test_the_jerk_bounds_how_fast_the_acceleration_grows() -> None:
    robot = joint_robot(velocity=(10.0,) * 7, acceleration=(1000.0,) * 7, jerk=(40.0,) * 7)
    speeds = np.diff(follow(robot, 2.8, 10)) / DT_S
    accelerations = np.diff(speeds, prepend=0.0) / DT_S
    growth = np.diff(accelerations, prepend=0.0)
    assert growth.max() == pytest.approx(40.0 * DT_S, rel=1e-3)


def test_braking_is_never_prevented() -> None:
    robot = joint_robot(acceleration=(1.0,) * 7)
    safety = SafetyFilter.from_robot(robot)
    sent = AT_REST
    for angle in (0.0, 0.1, 0.2):
        action = np.append([angle, *HOME[1:]], 0.0).astype(np.float32)
        sent = sent.then(action, rest=action)
    stand = sent.actions[-1]
    lagging = state_at(np.array([0.15, *HOME[1:]]))
    decision = safety.restrict(stand, lagging, DT_S, sent=sent)
    np.testing.assert_array_equal(decision.action, stand)
    back = np.append([0.15, *HOME[1:]], 0.0).astype(np.float32)
    np.testing.assert_array_equal(safety.restrict(back, lagging, DT_S, sent=sent).action, back)


def test_a_joint_beyond_its_range_may_come_back_and_is_not_pushed() -> None:
    robot = joint_robot()
    beyond = np.array([3.0, *HOME[1:]])  # the range ends at 2.8973
    safety = SafetyFilter.from_robot(robot)
    for wanted, expected in ((3.05, 3.0), (3.0, 3.0), (2.98, 2.98)):
        action = np.append([wanted, *beyond[1:]], 0.0).astype(np.float32)
        decision = safety.restrict(action, state_at(beyond), DT_S)
        assert decision.action[0] == pytest.approx(expected, abs=1e-6)


def test_at_a_joint_limit_the_hand_may_move_only_the_other_way() -> None:
    """The second joint is at its end, and the hand would have to go on with it."""
    q = np.array([0.0, 1.7627, 0.0, -1.5, 0.0, 2.3, 0.8])
    limit = LIMITS["joint_position"].from_robot(TWIN)
    assert TWIN.kinematics is not None
    forwards = TWIN.kinematics.jacobian(q)[:, 1]
    out = np.append(0.05 * forwards / np.linalg.norm(forwards), 0.0).astype(np.float32)
    state = state_at(q)
    stopped = limit.restrict(out, state, DT_S)
    assert np.linalg.norm(stopped.action) < 0.1 * np.linalg.norm(out)
    assert stopped.reasons == ("panda_joint2 would leave its range",)
    assert limit.restrict(-out, state, DT_S).reasons == ()


def test_without_kinematics_the_arm_stops_near_a_limit() -> None:
    robot = replace(TWIN, kinematics=None)
    safety = SafetyFilter.from_robot(robot)
    still = np.zeros(7, np.float32)
    near = HOME.copy()
    near[5] = TWIN.joint_limits.high[5] - 1.01 * MARGIN_RAD
    assert not safety.restrict(still, state_at(near), DT_S).stop
    near[5] = TWIN.joint_limits.high[5] - 0.99 * MARGIN_RAD
    decision = safety.restrict(still, state_at(near), DT_S)
    assert decision.stop
    assert decision.reasons == ("panda_joint6 is near its limit",)


def test_what_is_remembered_is_short_and_begins_at_rest() -> None:
    rest, actions = np.zeros(7, np.float32), np.eye(7, dtype=np.float32)
    sent = AT_REST.then(actions[0], rest=rest)
    np.testing.assert_array_equal(sent.actions, [rest, actions[0]])
    for action in actions[1:]:
        sent = sent.then(action, rest=np.full(7, np.nan, np.float32))
    np.testing.assert_array_equal(sent.actions, actions[-3:])
    assert Sent() == AT_REST


def test_a_slow_gripper_is_led() -> None:
    robot = replace(TWIN, gripper=replace(TWIN.gripper, speed=0.08))  # 0.1 of its way a period
    limit = LIMITS["gripper_range"].from_robot(robot)
    close, state = np.array([0, 0, 0, 0, 0, 0, 1], np.float32), state_at(HOME)
    sent = AT_REST
    closed = []
    for _ in range(12):
        decision = limit.restrict(close, state, DT_S, sent=sent)  # the fingers do not move
        sent = sent.then(decision.action, rest=np.zeros(7, np.float32))
        closed.append(float(decision.action[-1]))
    np.testing.assert_allclose(closed[:10], 0.1 * np.arange(1, 11), atol=1e-5)
    assert closed[-1] == 1.0
