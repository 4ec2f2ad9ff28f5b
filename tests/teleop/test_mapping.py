"""What a hand does becomes a displacement in the base frame."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from robot_policy.core.errors import ConfigError
from robot_policy.core.geometry import matrix_from_rotvec, transform
from robot_policy.core.robot import RobotDescription, load_robot
from robot_policy.teleop.controls import Controls
from robot_policy.teleop.mapping import Frame, Mapping, MappingConfig, view_axes

ROBOT = load_robot("panda_twin")
REST = np.array([0.0, 0.2, 0.0, -2.2, 0.0, 2.4, 0.8])


def state_of(robot: RobotDescription, joints: NDArray[np.floating]) -> NDArray[np.float32]:
    assert robot.kinematics is not None
    pose = robot.kinematics.pose(joints)
    return robot.proprioception(
        joint_positions=joints, gripper_m=0.04, ee_position=pose[:3, 3], base_R_ee=pose[:3, :3]
    )


STATE = state_of(ROBOT, REST)
UNIT = st.lists(st.floats(-1, 1), min_size=6, max_size=6).map(np.array)


def mapping(**settings: object) -> Mapping:
    view = settings.pop("view", None)
    config = replace(MappingConfig(smoothing_s=0.0), **settings)  # type: ignore[arg-type]
    return Mapping(ROBOT, config, base_R_view=view)  # type: ignore[arg-type]


@settings(deadline=None, max_examples=30)
@given(UNIT)
def test_full_speed_is_a_part_of_the_largest_command(velocity: NDArray[np.floating]) -> None:
    moved = mapping(speed=0.5).displacement(Controls(0, True, velocity=velocity), STATE)
    np.testing.assert_allclose(moved, 0.5 * np.array(ROBOT.command.high[:6]) * velocity)


def test_a_twist_is_covered_in_a_period_and_read_twice_it_is_the_same() -> None:
    controls = Controls(0, True, twist=np.array([0.2, 0, 0, 0, 0, 1.0]))
    moved = mapping().displacement(controls.followed_by(controls), STATE)
    np.testing.assert_allclose(moved, [0.01, 0, 0, 0, 0, 0.05], atol=1e-9)


@settings(deadline=None, max_examples=30)
@given(UNIT)
def test_a_frame_turns_motions_and_keeps_their_lengths(velocity: NDArray[np.floating]) -> None:
    controls = Controls(0, True, velocity=velocity)
    base = mapping().displacement(controls, STATE)
    tool = mapping(frame=Frame.TOOL).displacement(controls, STATE)
    R = ROBOT.ee_rotation(STATE)
    np.testing.assert_allclose(tool, np.concatenate([R @ base[:3], R @ base[3:]]), atol=1e-6)


def test_the_cameras_frame_is_what_a_person_sees_and_level() -> None:
    looks_back = np.stack([[0.0, 1.0, 0.0], [0.5, 0.0, -0.86], [-0.86, 0.0, -0.5]], axis=-1)
    view = view_axes(transform(looks_back, np.zeros(3)))
    moved = mapping(frame=Frame.CAMERA, view=view).displacement(
        Controls(0, True, velocity=np.array([1.0, 0, 0, 0, 0, 0])), STATE
    )
    assert moved[0] < 0  # away from a viewer who faces the robot is towards the robot
    assert moved[2] == pytest.approx(0.0)
    with pytest.raises(ConfigError, match="where the camera is"):
        mapping(frame=Frame.CAMERA)


def test_a_camera_that_looks_straight_down_has_axes_too() -> None:
    down = np.diag([1.0, -1.0, -1.0])
    np.testing.assert_allclose(view_axes(transform(down, np.zeros(3)))[:, 0], [0, 1, 0])


def test_smoothing_approaches_and_ends_with_the_dead_man() -> None:
    smooth = Mapping(ROBOT, MappingConfig(smoothing_s=0.1))
    controls = Controls(0, True, velocity=np.array([1.0, 0, 0, 0, 0, 0]))
    first = smooth.displacement(controls, STATE)[0]
    for _ in range(40):
        last = smooth.displacement(controls, STATE)[0]
    assert 0 < first < last == pytest.approx(0.6 * ROBOT.command.high[0], rel=1e-3)
    smooth.release()
    assert not smooth.displacement(Controls(0, True), STATE).any()


@settings(deadline=None, max_examples=30)
@given(UNIT, UNIT)
def test_the_dead_man_is_the_clutch_of_a_leader_arm(
    before: NDArray[np.floating], after: NDArray[np.floating]
) -> None:
    led = mapping()
    start = REST + 0.1 * np.append(before, 0.0)
    moved = led.displacement(Controls(0, True, joints=start), STATE)
    np.testing.assert_allclose(moved, 0.0, atol=1e-6)  # taking hold of it moves nothing
    goal = REST + 0.05 * np.append(after, 0.0)
    asked = led.joints(start + (goal - REST), STATE)
    np.testing.assert_allclose(asked, goal, atol=1e-6)
    led.release()
    np.testing.assert_allclose(led.joints(goal, STATE), REST, atol=1e-6)


def test_a_leader_arm_draws_the_end_effector_where_its_own_went() -> None:
    led = mapping()
    led.displacement(Controls(0, True, joints=np.zeros(7)), STATE)
    turn = np.array([0.1, 0, 0, 0, 0, 0, 0])
    moved = led.displacement(Controls(0, True, joints=turn), STATE)
    goal = state_of(ROBOT, REST + turn)
    np.testing.assert_allclose(
        moved[:3], ROBOT.ee_position(goal) - ROBOT.ee_position(STATE), atol=1e-5
    )
    np.testing.assert_allclose(
        matrix_from_rotvec(moved[3:]) @ ROBOT.ee_rotation(STATE), ROBOT.ee_rotation(goal), atol=1e-5
    )


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"speed": 0.0}, "speed: out of range"),
        ({"scale": -1.0}, "scale: out of range"),
        ({"smoothing_s": 2.0}, "smoothing_s"),
        ({"frame": "moon"}, "unknown frame 'moon'"),
    ],
)
def test_bad_settings_are_refused(settings: dict[str, object], line: str) -> None:
    with pytest.raises(ConfigError, match=line):
        MappingConfig(**settings)  # type: ignore[arg-type]
