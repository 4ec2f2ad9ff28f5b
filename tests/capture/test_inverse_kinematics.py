"""Joint angles for poses: those that are reachable are reached, ranges are kept."""

import numpy as np
import pytest

from robot_policy.capture.inverse_kinematics import between, joints_near, motion_between
from robot_policy.core.robot import load_robot


@pytest.mark.parametrize("name", ["panda_twin", "ur5e", "xarm7"])
def test_reachable_poses_are_reached(name: str) -> None:
    robot, rng = load_robot(name), np.random.default_rng(0)
    low, high = np.array(robot.joint_limits.low), np.array(robot.joint_limits.high)
    middle = (low + high) / 2 + 0.4
    joints = np.clip(middle + rng.uniform(-0.4, 0.4, (30, len(low))), low, high)
    poses = robot.kinematics.pose(joints)
    found = joints_near(robot.kinematics, poses, middle, low=low, high=high)
    left = np.linalg.norm(motion_between(robot.kinematics.pose(found), poses), axis=-1)
    assert (left < 2e-3).mean() > 0.8
    assert (found >= low).all()
    assert (found <= high).all()


def test_an_arm_of_five_joints_comes_near() -> None:
    robot = load_robot("so101")
    limits = robot.joint_limits
    q = np.array([0.1, -0.3, 0.4, 0.5, 0.2])
    wanted = robot.kinematics.pose(q)
    wanted[:3, :3] = wanted[:3, :3] @ between(np.eye(4), robot.kinematics.pose(q), 0.1)[:3, :3]
    low, high = np.array(limits.low), np.array(limits.high)
    found = joints_near(robot.kinematics, wanted, q, low=low, high=high)
    before = np.linalg.norm(motion_between(robot.kinematics.pose(q), wanted))
    after = np.linalg.norm(motion_between(robot.kinematics.pose(found), wanted))
    assert after <= before


def test_joints_to_spare_stay_near_the_start() -> None:
    robot = load_robot("panda_twin")
    start = np.array([0.0, 0.2, 0.0, -2.4, 0.0, 2.6, 0.8])
    wanted = robot.kinematics.pose(start)
    wanted[0, 3] += 0.05
    low, high = np.array(robot.joint_limits.low), np.array(robot.joint_limits.high)
    found = joints_near(robot.kinematics, wanted, start, low=low, high=high)
    assert np.abs(found - start).max() < 0.3


def test_halfway_is_half_of_the_motion() -> None:
    chain = load_robot("panda_twin").kinematics
    a = chain.pose(np.array([0.0, 0.2, 0.0, -2.4, 0.0, 2.6, 0.8]))
    b = chain.pose(np.array([0.4, 0.1, 0.2, -2.2, 0.3, 2.4, 0.5]))
    half = between(a, b, 0.5)
    np.testing.assert_allclose(motion_between(a, half), 0.5 * motion_between(a, b), atol=1e-9)
    np.testing.assert_allclose(between(a, b, 1.0), b, atol=1e-9)


def test_jacobians_of_many_configurations_are_those_of_each() -> None:
    chain = load_robot("xarm7").kinematics
    joints = np.random.default_rng(0).uniform(-1, 1, (4, 7))
    np.testing.assert_allclose(chain.jacobian(joints), [chain.jacobian(q) for q in joints])
