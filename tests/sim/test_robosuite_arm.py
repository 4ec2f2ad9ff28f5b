"""The twin means what its units and frames say."""

import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest

from robot_policy.core.errors import ConfigError, SimulationError, UnknownNameError
from robot_policy.core.geometry import rotvec_from_matrix
from sim.envs.robosuite_arm import HOLD_STEPS, RobosuiteArm
from sim.registry import make_environment, make_expert


@pytest.fixture(scope="module")
def arm() -> Iterator[RobosuiteArm]:
    environment = make_environment("lift")
    yield environment
    environment.close()


def moved(arm: RobosuiteArm, action: list[float], *, steps: int = 6) -> tuple[np.ndarray, ...]:
    """Displacement and rotation vector of the end effector in the base frame."""
    arm.reset(0)
    before = arm.ee_pose
    for _ in range(steps):
        arm.step(np.array(action, dtype=np.float32))
    after = arm.ee_pose
    return after[:3, 3] - before[:3, 3], rotvec_from_matrix(after[:3, :3] @ before[:3, :3].T)


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("sign", [-1, 1])
def test_translations_go_along_the_axes_of_the_base(
    arm: RobosuiteArm, axis: int, sign: int
) -> None:
    action = [0.0] * 7
    action[axis] = 0.02 * sign
    shift, turn = moved(arm, action)
    assert sign * shift[axis] > 0.02
    assert np.abs(np.delete(shift, axis)).max() < 0.25 * abs(shift[axis])
    assert np.linalg.norm(turn) < 0.1


@pytest.mark.parametrize("axis", range(3))
def test_rotations_go_about_the_axes_of_the_base(arm: RobosuiteArm, axis: int) -> None:
    action = [0.0] * 7
    action[3 + axis] = 0.2
    _, turn = moved(arm, action)
    assert turn[axis] > 0.15
    assert np.abs(np.delete(turn, axis)).max() < 0.35 * turn[axis]


def test_a_command_beyond_the_limits_is_the_limit(arm: RobosuiteArm) -> None:
    limit, _ = moved(arm, [0.05, 0, 0, 0, 0, 0, 0])
    beyond, _ = moved(arm, [9.0, 0, 0, 0, 0, 0, 0])
    np.testing.assert_array_equal(limit, beyond)


def test_the_gripper_opens_below_one_half_and_closes_above(arm: RobosuiteArm) -> None:
    moved(arm, [0, 0, 0, 0, 0, 0, 0.49], steps=15)
    assert arm.gripper_m > 0.038
    moved(arm, [0, 0, 0, 0, 0, 0, 0.51], steps=15)
    assert arm.gripper_m < 0.002


def test_the_hand_points_down_with_its_fingers_along_y(arm: RobosuiteArm) -> None:
    arm.reset(0)
    np.testing.assert_allclose(arm.ee_pose[:3, :3], np.diag([1.0, -1.0, -1.0]), atol=0.2)
    left, right = (
        arm._data.xpos[arm._model.body(f"gripper0_right_{side}finger").id]
        for side in ("left", "right")
    )
    along = arm.ee_pose[:3, :3].T @ (left - right)  # the base is not turned in the world
    assert np.abs(along).argmax() == 1


def test_accessors_agree_with_the_observation(arm: RobosuiteArm) -> None:
    observation = arm.reset(4)
    state = arm.robot.proprioception(
        joint_positions=arm.joint_positions,
        gripper_m=arm.gripper_m,
        ee_position=arm.ee_pose[:3, 3],
        base_R_ee=arm.ee_pose[:3, :3],
    )
    np.testing.assert_array_equal(observation.state, state)
    assert arm.joint_velocities.shape == arm.joint_positions.shape


def test_success_counts_once_it_is_held(arm: RobosuiteArm) -> None:
    """The goal is reached some steps before the episode ends, in which nothing is rewarded."""
    expert = make_expert("lift")
    observation, reached = arm.reset(5), 0
    while True:
        step = arm.step(expert.act(observation))
        observation = step.observation
        reached += bool(arm._scene._check_success())
        assert step.success == step.terminated == (step.reward == 1.0)
        if step.done:
            break
    assert reached == HOLD_STEPS


def test_steps_without_a_reset_are_refused() -> None:
    environment = make_environment("lift")
    with pytest.raises(SimulationError, match="reset first"):
        environment.step(np.zeros(7, dtype=np.float32))
    environment.close()
    environment.close()
    with pytest.raises(SimulationError, match="closed"):
        environment.observe()


def test_unknown_names_list_the_valid_ones() -> None:
    with pytest.raises(
        UnknownNameError, match="can, language, lift, recall, recall-count, square, stack"
    ):
        make_environment("lfit")
    with pytest.raises(UnknownNameError, match="agentview, wrist"):
        make_environment("lift", cameras=("front",))
    with pytest.raises(UnknownNameError, match="panda_twin"):
        make_environment("lift", robot="ur5")
    with pytest.raises(ConfigError, match="image_size"):
        make_environment("lift", image_size=(0, 84))
    with pytest.raises(UnknownNameError, match="expert, sloppy"):
        make_expert("lift", quality="perfect")
    with pytest.raises(
        UnknownNameError, match="can, language, lift, recall, recall-count, square, stack"
    ):
        make_expert("lfit")


def test_a_robot_driven_otherwise_is_refused(tmp_path) -> None:
    from robot_policy.core.robot import _ROBOT_FOLDERS

    source = (
        next(f for f in _ROBOT_FOLDERS if (f / "panda_twin.yaml").is_file()) / "panda_twin.yaml"
    )
    path = tmp_path / "other.yaml"
    path.write_text(source.read_text().replace("ee_delta_pose", "ee_pose"))
    with pytest.raises(ConfigError, match="ee_delta_pose"):
        make_environment("lift", robot=str(path))


def test_a_real_arm_is_not_simulated_by_another() -> None:
    for robot in ("fr3", "ur5e"):
        with pytest.raises(ConfigError, match=f"robot {robot}: the twin simulates another arm"):
            make_environment("lift", robot=robot)


def test_the_simulator_starts_in_silence() -> None:
    script = "from sim.registry import make_environment\nmake_environment('lift').reset(0)"
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert (result.stdout, result.stderr) == ("", "")


def test_the_registry_is_listed_without_a_simulator() -> None:
    script = (
        "import sys, sim.registry\nprint(sorted({'mujoco', 'robosuite', 'torch'} & {*sys.modules}))"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert result.stdout.strip() == "[]"
