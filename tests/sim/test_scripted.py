"""The scripted experts, their noise and their flaws."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_policy.core.episode import Episode, Success
from robot_policy.core.errors import ConfigError, SpecError
from robot_policy.core.geometry import matrix_from_rotvec
from sim.envs.robosuite_arm import RobosuiteArm
from sim.registry import make_environment, make_expert
from sim.scripted.motion import MAX_STEP_M, MAX_TURN_RAD, nearest_yaw, pointing_down, towards
from sim.scripted.noise import CorrelatedNoise
from sim.scripted.rollout import collect_episode
from sim.scripted.scene import Pose, Scene

angles = st.floats(-10, 10)
vectors = st.tuples(*[st.floats(-3, 3)] * 3).map(np.array)


@pytest.fixture(scope="module")
def arm() -> Iterator[RobosuiteArm]:
    environment = make_environment("lift")
    yield environment
    environment.close()


def assert_same(a: Episode, b: Episode) -> None:
    for name in ("stamps_ns", "state", "actions", "rewards", "environment_state"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
    assert a.success == b.success


@pytest.mark.parametrize("quality", ["expert", "sloppy"])
def test_a_demonstration_is_determined_by_its_seed(arm: RobosuiteArm, quality: str) -> None:
    first = collect_episode(arm, make_expert("lift", quality=quality), seed=3, noise=0.1)
    used = make_expert("lift", quality=quality)
    other = collect_episode(arm, used, seed=4, noise=0.1)
    assert_same(first, collect_episode(arm, used, seed=3, noise=0.1))
    assert not np.array_equal(first.actions[:10], other.actions[:10])


def test_what_is_recorded_replays(arm: RobosuiteArm) -> None:
    """Recorded actions are the ones that were executed, noise included."""
    episode = collect_episode(arm, make_expert("lift"), seed=8, noise=0.2)
    assert episode.environment_state is not None
    observation = arm.reset(8)
    for state, action in zip(episode.state, episode.actions, strict=True):
        np.testing.assert_array_equal(observation.state, state)
        step = arm.step(action)
        observation = step.observation
    assert step.success == (episode.success == Success.YES)


def test_noise_disturbs_the_arm_and_not_the_gripper(arm: RobosuiteArm) -> None:
    clean = collect_episode(arm, make_expert("lift"), seed=9, noise=0.0)
    noisy = collect_episode(arm, make_expert("lift"), seed=9, noise=0.2)
    np.testing.assert_array_equal(clean.state[0], noisy.state[0])
    assert not np.array_equal(clean.actions[0], noisy.actions[0])
    assert set(np.unique(noisy.actions[:, -1])) <= {0.0, 1.0}


@pytest.mark.parametrize("noise", [-0.1, float("nan"), float("inf")])
def test_wrong_noise_is_refused(arm: RobosuiteArm, noise: float) -> None:
    with pytest.raises(ConfigError, match="noise"):
        collect_episode(arm, make_expert("lift"), seed=0, noise=noise)


def test_a_missed_grasp_is_tried_again(arm: RobosuiteArm) -> None:
    """An expert whose fingers closed on nothing opens them and picks the object up."""
    expert = make_expert("lift")
    arm.reset(0)
    down = np.array([0, 0, -0.02, 0, 0, 0, 1], dtype=np.float32)
    for _ in range(15):
        step = arm.step(down)
    assert step.observation.state[7] > 0.9
    while not step.done:
        step = arm.step(expert.act(step.observation))
    assert step.success


def test_sloppy_demonstrations_are_mixed(arm: RobosuiteArm) -> None:
    episodes = [
        collect_episode(arm, make_expert("lift", quality="sloppy"), seed=seed, noise=0.1)
        for seed in range(10)
    ]
    successes = sum(e.success == Success.YES for e in episodes)
    assert 2 <= successes <= 9
    assert all(e.metadata["quality"] == "sloppy" for e in episodes)
    slow = [len(e) for e in episodes if e.success == Success.YES]
    assert max(slow) > 50  # the expert needs 30 to 35 steps


def test_an_expert_needs_privileged_state(arm: RobosuiteArm) -> None:
    observation = replace(arm.reset(0), environment_state=None)
    for quality in ("expert", "sloppy"):
        expert = make_expert("lift", quality=quality)
        expert.reset(np.random.default_rng(0))
        with pytest.raises(SpecError, match="environment_state"):
            expert.act(observation)


def test_the_scene_is_the_observation_by_name(arm: RobosuiteArm) -> None:
    scene = Scene.read(arm.reset(6), arm.task)
    np.testing.assert_allclose(scene.ee.position, arm.ee_pose[:3, 3], atol=1e-6)
    np.testing.assert_allclose(scene.ee.R, arm.ee_pose[:3, :3], atol=1e-6)
    assert scene.closed == pytest.approx(arm.robot.gripper.fraction_from_position(arm.gripper_m))
    assert set(scene.objects) == {"cube"}
    assert scene.objects["cube"].upright == pytest.approx(1.0, abs=1e-3)


@given(yaw=angles, near=angles, period=st.sampled_from([np.pi / 2, np.pi, 2 * np.pi]))
def test_nearest_yaw_is_equivalent_and_nearest(yaw: float, near: float, period: float) -> None:
    result = nearest_yaw(yaw, near, period=period)
    turns = (result - yaw) / period
    assert turns == pytest.approx(round(turns), abs=1e-9)
    assert abs(result - near) <= period / 2 + 1e-9


@given(yaw=st.floats(-3, 3))
def test_a_hand_pointing_down_has_that_heading(yaw: float) -> None:
    pose = Pose(np.zeros(3), pointing_down(yaw))
    assert pose.yaw == pytest.approx(yaw)
    assert pose.upright == pytest.approx(-1.0)


@given(here=vectors, there=vectors, turned=vectors, close=st.booleans())
def test_commands_point_at_the_target_within_the_limits(
    here: np.ndarray, there: np.ndarray, turned: np.ndarray, close: bool
) -> None:
    scene = Scene(ee=Pose(here, np.eye(3)), closed=0.0, objects={})
    action = towards(scene, Pose(there, matrix_from_rotvec(turned)), close=close)
    assert np.linalg.norm(action[:3]) <= MAX_STEP_M * (1 + 1e-6)
    assert np.linalg.norm(action[3:6]) <= MAX_TURN_RAD * (1 + 1e-6)
    assert action[:3] @ (there - here) >= 0
    assert action[-1] == close


def test_noise_has_the_scale_asked_for_and_changes_gradually() -> None:
    scale = np.array([0.01, 0.02, 5.0])
    noise = CorrelatedNoise(scale, np.random.default_rng(0))
    samples = np.stack([noise.draw() for _ in range(20_000)])
    np.testing.assert_allclose(samples[:, :2].std(axis=0), scale[:2], rtol=0.05)
    assert (samples[:, 2] == 0).all()  # the gripper
    correlation = np.corrcoef(samples[:-1, 0], samples[1:, 0])[0, 1]
    assert correlation == pytest.approx(0.7, abs=0.03)
