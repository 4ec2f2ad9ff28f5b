"""Experts drive the twin in every action space, within its limits."""

from collections.abc import Iterator

import numpy as np
import pytest

from robot_policy.core.episode import Success
from robot_policy.core.errors import ConfigError
from robot_policy.core.geometry import matrix_from_rotvec, rotvec_from_matrix
from robot_policy.core.robot import load_robot
from robot_policy.core.specs import ActionSpace
from robot_policy.runtime.hold import hold_action
from robot_policy.runtime.safety.safety_filter import SafetyFilter
from robot_policy.runtime.safety.sent import AT_REST
from robot_policy.runtime.translation import Translation
from sim.envs.robosuite_arm import RobosuiteArm
from sim.registry import make_environment, make_expert
from sim.scripted.rollout import collect_episode

VARIANTS = ("panda_twin_pose", "panda_twin_joint", "panda_twin_forward")


@pytest.fixture(scope="module", params=VARIANTS)
def arm(request: pytest.FixtureRequest) -> Iterator[RobosuiteArm]:
    environment = make_environment("lift", robot=request.param)
    yield environment
    environment.close()


@pytest.fixture(scope="module")
def delta_arm() -> Iterator[RobosuiteArm]:
    environment = make_environment("lift")
    yield environment
    environment.close()


def test_the_expert_solves_the_task_with_commands_that_a_policy_may_repeat(
    arm: RobosuiteArm,
) -> None:
    translation, robot = Translation(arm.robot), arm.robot
    for seed in (0, 1):
        episode = collect_episode(
            arm, make_expert("lift"), seed=seed, noise=0.1, translation=translation
        )
        assert episode.success == Success.YES
        again = collect_episode(
            arm, make_expert("lift"), seed=seed, noise=0.1, translation=translation
        )
        np.testing.assert_array_equal(again.actions, episode.actions)
    safety, sent = SafetyFilter.from_robot(robot), AT_REST
    for state, action in zip(episode.state, episode.actions, strict=True):
        decision = safety.restrict(action, state, robot.dt_s, sent=sent)
        np.testing.assert_allclose(decision.action, action, atol=1e-5)
        rest = hold_action(robot, state, gripper=float(action[-1]))
        sent = sent.then(action, rest=rest)
    assert safety.check_chunk(episode.actions, episode.state[0], robot.dt_s) == ()


def test_rotation_vectors_of_poses_do_not_jump() -> None:
    environment = make_environment("square", robot="panda_twin_pose")
    translation = Translation(environment.robot)
    episode = collect_episode(
        environment, make_expert("square"), seed=1, noise=0.1, translation=translation
    )
    environment.close()
    turns = np.abs(np.diff(episode.actions[:, 3:6], axis=0)).max()
    assert turns < 1.0
    lengths = np.linalg.norm(episode.actions[:, 3:6], axis=1)
    assert lengths.max() > np.pi > lengths.min(), "the hand passes half a turn"


def test_a_pose_is_the_place_that_a_displacement_leads_to(delta_arm: RobosuiteArm) -> None:
    """The same commands, said in two ways, move the arm alike."""
    arm = make_environment("lift", robot="panda_twin_pose")
    arm.reset(3)
    delta_arm.reset(3)
    rng = np.random.default_rng(0)
    for _ in range(5):
        motion = np.array([*rng.uniform(-0.03, 0.03, 3), *rng.uniform(-0.2, 0.2, 3), 0], np.float32)
        here = arm.ee_pose
        turned = rotvec_from_matrix(matrix_from_rotvec(motion[3:6]) @ here[:3, :3])
        place = np.array([*(here[:3, 3] + motion[:3]), *turned, 0], np.float32)
        state = arm.step(place).observation.state
        np.testing.assert_allclose(state, delta_arm.step(motion).observation.state, atol=1e-5)
    arm.close()


def test_joint_angles_are_gone_to(delta_arm: RobosuiteArm) -> None:
    for name in ("panda_twin_joint", "panda_twin_forward"):
        arm = make_environment("lift", robot=name)
        arm.reset(0)
        before = arm.joint_positions
        target = before + np.array([0.1, -0.1, 0.05, 0.1, -0.1, 0.1, 0.2])
        for _ in range(30):
            is_delta = arm.robot.command.action_space == ActionSpace.JOINT_DELTA
            joints = target - arm.joint_positions if is_delta else target
            arm.step(np.append(joints, 0.0).astype(np.float32))
        np.testing.assert_allclose(arm.joint_positions, target, atol=0.02)
        arm.close()


def test_the_description_s_kinematics_are_the_simulator_s(delta_arm: RobosuiteArm) -> None:
    chain = load_robot("panda_twin").kinematics
    assert chain is not None
    for seed in range(3):
        delta_arm.reset(seed)
        pose = chain.pose(delta_arm.joint_positions)
        np.testing.assert_allclose(pose, delta_arm.ee_pose, atol=1e-4)


def test_without_kinematics_no_expert_can_tell_the_joints_where_to_go() -> None:
    from dataclasses import replace

    robot = replace(load_robot("panda_twin_joint"), kinematics=None)
    with pytest.raises(ConfigError, match="expected kinematics or urdf"):
        Translation(robot)
