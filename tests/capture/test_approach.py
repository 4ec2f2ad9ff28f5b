"""No arm is ever sent beyond its limits, wherever it is told to go, and in whatever form."""

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from ideal_arm import IdealArm

from robot_policy.capture.approach import Approach
from robot_policy.capture.arm import Reading
from robot_policy.capture.inverse_kinematics import joints_near, motion_between
from robot_policy.capture.reach import Reach, Target
from robot_policy.core.robot import RobotDescription, load_robot, robot_names
from robot_policy.core.specs import ActionSpace

ROBOTS = [name for name in robot_names() if load_robot(name).kinematics is not None]
ROUNDING = 1e-5


def random_joints(
    robot: RobotDescription, rng: np.random.Generator, *, beyond: float = 0.0
) -> np.ndarray:
    low, high = np.array(robot.joint_limits.low), np.array(robot.joint_limits.high)
    return rng.uniform(low - beyond * (high - low), high + beyond * (high - low))


def start_inside(robot: RobotDescription, rng: np.random.Generator) -> np.ndarray:
    """Joints whose end effector is in the workspace."""
    box = robot.workspace
    for _ in range(400):
        place = np.eye(4)
        place[:3, 3] = rng.uniform(box.low, box.high)
        place[:3, :3] = np.diag([1.0, -1.0, -1.0])
        low, high = np.array(robot.joint_limits.low), np.array(robot.joint_limits.high)
        q = joints_near(robot.kinematics, place, random_joints(robot, rng), low=low, high=high)
        arm = IdealArm(robot, q)
        joint_rad, place_m = Reach(robot).margins(arm.step(None))
        if joint_rad > 0.0 and place_m > 0.0:
            return q
    raise AssertionError("no start")


@pytest.mark.parametrize("name", ROBOTS)
@settings(max_examples=2, deadline=None, derandomize=True, database=None, phases=[Phase.generate])
@given(seed=st.integers(0, 2**32 - 1))
def test_no_command_leads_beyond_a_limit(name: str, seed: int) -> None:
    robot, rng = load_robot(name), np.random.default_rng(seed)
    arm = IdealArm(robot, start_inside(robot, rng))
    reading = arm.step(None)
    approach = Approach(robot, speed=1.0, gripper=0.0)
    for _ in range(2):
        wild = random_joints(robot, rng, beyond=0.3)
        approach.begin(reading, Target(wild, robot.kinematics.pose(wild)))
        for _ in range(40):
            decision = approach.next(reading)
            assert_within_command(robot, decision.action)
            before, reading = reading, arm.step(decision.action)
            assert_not_sent_beyond(robot, decision.action, before, reading)
            if decision.stop or approach.arrived(reading):
                break


def assert_not_sent_beyond(
    robot: RobotDescription, action: np.ndarray, before: Reading, after: Reading
) -> None:
    """The place and the joints that are commanded are inside, or no further out than before."""
    box, limits, here = robot.workspace, robot.joint_limits, before.base_T_ee[:3, 3]
    match robot.command.action_space:
        case ActionSpace.EE_DELTA_POSE:
            place = here + action[:3]
        case ActionSpace.EE_POSE:
            place = action[:3]
        case _:
            place = after.base_T_ee[:3, 3]
            assert (after.joints >= np.minimum(limits.low, before.joints) - ROUNDING).all()
            assert (after.joints <= np.maximum(limits.high, before.joints) + ROUNDING).all()
    assert (place >= np.minimum(box.low, here) - 1e-4).all()
    assert (place <= np.maximum(box.high, here) + 1e-4).all()


def assert_within_command(robot: RobotDescription, action: np.ndarray) -> None:
    low, high = np.array(robot.command.low), np.array(robot.command.high)
    assert (action >= low - ROUNDING).all()
    assert (action <= high + ROUNDING).all()


@pytest.mark.parametrize("name", ROBOTS)
def test_a_target_that_is_allowed_is_reached_and_held(name: str) -> None:
    robot, rng = load_robot(name), np.random.default_rng(1)
    reach = Reach(robot)
    middle = np.mean([robot.workspace.low, robot.workspace.high], axis=0)
    for _ in range(20):
        arm = IdealArm(robot, start_inside(robot, rng))
        reading = arm.step(None)
        near = reading.base_T_ee.copy()
        near[:3, 3] += 0.1 * (middle - near[:3, 3])
        found = reach.targets(near[None], reading.joints)
        if found and reach.free_way(reading, found[0]):
            break
    else:
        raise AssertionError("no allowed target")
    target = found[0]
    approach = Approach(robot, speed=0.5, gripper=0.0)
    approach.begin(reading, target)
    while not approach.arrived(reading):
        reading = arm.step(approach.next(reading).action)
    left = motion_between(reading.base_T_ee, target.base_T_ee)
    assert np.linalg.norm(left[:3]) < 0.02
    for _ in range(5):
        rested = arm.step(approach.rest(reading).action)
    assert np.abs(rested.joints - reading.joints).max() < 0.02


def test_motions_begin_and_end_gently() -> None:
    robot = load_robot("panda_twin_joint")
    arm = IdealArm(robot, np.array([0.0, 0.2, 0.0, -2.4, 0.0, 2.6, 0.8]))
    reading = arm.step(None)
    there = reading.joints + np.array([0.6, 0.2, 0, 0, 0.3, 0, -0.5])
    approach = Approach(robot, speed=1.0, gripper=0.0)
    approach.begin(reading, Target(there, robot.kinematics.pose(there)))
    while not approach.arrived(reading):
        reading = arm.step(approach.next(reading).action)
    speeds = np.array([np.abs(r.velocities).max() for r in arm.readings[1:]])
    assert approach.restricted == 0
    assert speeds[0] < 0.1 * speeds.max()
    assert speeds[-1] < 0.1 * speeds.max()
    assert speeds.max() < 0.6 * max(robot.joint_limits.velocity)
