"""Robot descriptions: every file that ships loads; mistakes are named."""

import copy
from pathlib import Path

import numpy as np
import pytest
import yaml

from robot_policy.core.errors import ConfigError, RobotPolicyError, UnknownNameError
from robot_policy.core.geometry import matrix_from_rotvec
from robot_policy.core.robot import load_robot, parse_robot, robot_names

TWIN = (
    Path(__file__).resolve().parents[2]
    / "ros2_ws/src/robot_policy_ros/config/robots/panda_twin.yaml"
)


@pytest.mark.parametrize("name", robot_names())
def test_every_description_loads_under_its_own_name(name: str) -> None:
    robot = load_robot(name)
    assert robot.name == name
    assert robot.action_spec.low
    limits = robot.joint_limits
    assert all(low < high for low, high in zip(limits.low, limits.high, strict=True))


def test_gripper_fraction_and_position_are_inverse() -> None:
    gripper = load_robot("panda_twin").gripper
    for fraction in np.linspace(0, 1, 11):
        position = gripper.position_from_fraction(fraction)
        assert gripper.fraction_from_position(position) == pytest.approx(fraction)
    assert gripper.fraction_from_position(gripper.open) == 0.0
    assert gripper.fraction_from_position(gripper.closed) == 1.0
    assert gripper.fraction_from_position(gripper.open + 1.0) == 0.0


def test_proprioception_follows_the_state_spec() -> None:
    robot = load_robot("panda_twin")
    state = robot.proprioception(
        joint_positions=np.arange(7.0),
        gripper_m=0.0,
        ee_position=np.array([0.1, 0.2, 0.3]),
        base_R_ee=matrix_from_rotvec(np.zeros(3)),
    )
    robot.state_spec.validate(state, where="state")
    values = dict(zip(robot.state_spec.names, state, strict=True))
    assert values["panda_joint3"] == 2.0
    assert values["gripper"] == 1.0
    assert values["ee_y"] == pytest.approx(0.2)
    assert values["ee_rot6d_0"] == 1.0
    np.testing.assert_allclose(robot.ee_position(state), [0.1, 0.2, 0.3], rtol=1e-6)


def test_an_unknown_robot_lists_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'panda_twin'"):
        load_robot("panda_twim")


def test_files_that_are_no_descriptions(tmp_path: Path) -> None:
    for name, text in (("a.yaml", "- 1"), ("b.yaml", "{"), ("c.yaml", "name: x")):
        (tmp_path / name).write_text(text)
        with pytest.raises(ConfigError, match=name):
            load_robot(tmp_path / name)
    with pytest.raises(ConfigError, match="no such robot description"):
        load_robot(tmp_path / "missing.yaml")


def test_a_folder_of_one_s_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.yaml").write_text(TWIN.read_text().replace("panda_twin", "mine"))
    monkeypatch.setenv("ROBOT_POLICY_ROBOTS", str(tmp_path))
    assert load_robot("mine").name == "mine"
    assert "mine" in robot_names()


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("joints", "low"), [0.0], "joints.low must have one entry per joint"),
        (("command", "low"), [0.0], "low must have one entry per element"),
        (("command", "action_space"), "ee_velocity", "ee_velocity"),
        (("rate_hz",), 0.0, "rate_hz must be positive"),
        (("max_age_s",), 0.0, "max_age_s must be positive"),
        (("gripper",), {"joint": "f"}, "open_m"),
        (("frames",), {}, "'base' is missing"),
        (("command", "action_space"), "joint_position", "a twist cannot carry these actions"),
        (("command", "max_step"), 0.1, "unknown entry of command 'max_step'.*'max_step_m'"),
        (("joints", "acceleraton"), [1.0], "did you mean 'acceleration'"),
        (("joints", "velocity"), [0.0] * 7, r"joints\.velocity is out of range"),
        (("joints", "high"), [-9.0] * 7, r"joints\.low of panda_joint1 is not below"),
        (("joints", "jerk"), [1.0], r"joints\.jerk must have one entry per joint"),
        (("command", "low"), [0.01, *[-0.05] * 5, 0.0], "must be allowed to be zero"),
        (("command", "high"), [0.05] * 6 + [2.0], "must be 0 open .. 1 closed"),
        (("command", "max_turn_rad"), 0.0, "max_turn_rad must be positive"),
        (("command", "response"), {"rotation": 1.5}, r"response\.rotation is out of range"),
        (("gripper",), {"joint": "f", "open_m": 0.1, "closed_m": 0.1}, "are the same"),
        (("gripper", "speed"), -1.0, "speed must be positive"),
        (("workspace", "low"), [1.0, 0.0, 0.0], "low is not below high in x"),
        (("workspace", "keep_out"), [{"low": [0, 0, 0], "high": [0, 1, 1]}], "keep_out: low"),
        (("kinematics",), {"joints": [{}]}, "kinematics.joints must have one entry per joint"),
        (("command",), [], "command must be a mapping"),
    ],
)
def test_wrong_entries_are_named(path: tuple[str, ...], value: object, message: str) -> None:
    data = copy.deepcopy(yaml.safe_load(TWIN.read_text()))
    entry = data
    for key in path[:-1]:
        entry = entry[key]
    entry[path[-1]] = value
    with pytest.raises(RobotPolicyError, match=message):
        parse_robot(data, where="test.yaml")


def test_without_a_pose_topic_and_kinematics_nobody_knows_where_the_hand_is() -> None:
    data = yaml.safe_load(TWIN.read_text())
    del data["topics"]["ee_pose"]
    assert parse_robot(data, where="test.yaml").ee_pose_topic is None
    del data["kinematics"]
    with pytest.raises(ConfigError, match="no way to know where the end effector is"):
        parse_robot(data, where="test.yaml")
