"""Limits and kinematics out of a URDF, and files that are none."""

from pathlib import Path

import numpy as np
import pytest
import yaml

from robot_policy.core.errors import ConfigError, RobotPolicyError
from robot_policy.core.robot import load_robot, robot_names
from robot_policy.core.urdf import read_urdf

PLANAR = """<?xml version="1.0"?>
<robot name="planar">
  <link name="base"/><link name="upper"/><link name="lower"/><link name="tool"/>
  <joint name="mount" type="fixed">
    <origin xyz="0 0 0.5"/><parent link="base"/><child link="stand"/>
  </joint>
  <joint name="shoulder" type="revolute">
    <parent link="stand"/><child link="upper"/><axis xyz="0 0 2"/>
    <limit lower="-1.5" upper="1.5" velocity="2.0" effort="1"/>
  </joint>
  <joint name="elbow" type="revolute">
    <origin xyz="1 0 0" rpy="0 0 0"/>
    <parent link="upper"/><child link="lower"/><axis xyz="0 0 1"/>
    <limit lower="-2.5" upper="2.5" velocity="3.0" effort="1"/>
  </joint>
  <joint name="flange" type="fixed">
    <origin xyz="0.5 0 0"/><parent link="lower"/><child link="tool"/>
  </joint>
</robot>
"""

ROBOT = {
    "name": "planar",
    "rate_hz": 20.0,
    "urdf": "planar.urdf",
    "frames": {"base": "base", "end_effector": "tool"},
    "joints": {"names": ["shoulder", "elbow"]},
    "gripper": {"joint": "finger", "open_m": 0.04, "closed_m": 0.0},
    "command": {
        "action_space": "ee_delta_pose",
        "interface": "twist",
        "topic": "twist",
        "gripper_topic": "gripper",
        "low": [-0.05] * 3 + [-0.5] * 3 + [0.0],
        "high": [0.05] * 3 + [0.5] * 3 + [1.0],
    },
    "topics": {"joint_states": "joint_states"},
    "workspace": {"low": [-2, -2, 0], "high": [2, 2, 1]},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "planar.urdf").write_text(PLANAR)
    return tmp_path


def described(folder: Path, **changes: object) -> Path:
    path = folder / "planar.yaml"
    path.write_text(yaml.safe_dump({**ROBOT, **changes}))
    return path


def test_limits_and_kinematics_come_from_the_urdf(folder: Path) -> None:
    robot = load_robot(described(folder))
    assert robot.joint_limits.low == (-1.5, -2.5)
    assert robot.joint_limits.high == (1.5, 2.5)
    assert robot.joint_limits.velocity == (2.0, 3.0)
    assert robot.joint_limits.acceleration is None
    assert robot.ee_pose_topic is None
    assert robot.kinematics is not None
    place = robot.kinematics.pose(np.array([np.pi / 2, -np.pi / 2]))[:3, 3]
    np.testing.assert_allclose(place, [0.5, 1.0, 0.5], atol=1e-12)


def test_a_description_may_be_narrower_than_the_urdf_and_not_wider(folder: Path) -> None:
    narrow = {"names": ["shoulder", "elbow"], "low": [-1.0, -1.0], "velocity": [1.0, 1.0]}
    robot = load_robot(described(folder, joints=narrow))
    assert robot.joint_limits.low == (-1.0, -1.0)
    assert robot.joint_limits.high == (1.5, 2.5)
    for label, values, line in (
        ("low", [-1.6, -1.0], r"joints\.low of shoulder is wider.*expected >= -1\.5; got -1\.6"),
        ("high", [1.0, 2.6], r"joints\.high of elbow is wider.*expected <= 2\.5"),
        ("velocity", [2.0, 3.1], r"joints\.velocity of elbow is wider"),
    ):
        joints = {"names": ["shoulder", "elbow"], label: values}
        with pytest.raises(ConfigError, match=line):
            load_robot(described(folder, joints=joints))


def test_a_robot_may_extend_one_with_a_urdf_from_another_folder(folder: Path) -> None:
    described(folder)
    other = folder / "other"
    other.mkdir()
    path = other / "mine.yaml"
    path.write_text(f"extends: {folder / 'planar.yaml'}\nname: mine\nrate_hz: 50\n")
    robot = load_robot(path)
    assert (robot.name, robot.rate_hz) == ("mine", 50.0)
    assert robot.joint_limits.velocity == (2.0, 3.0)


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"frames": {"base": "base", "end_effector": "hand"}}, "no link 'hand'; valid: base"),
        ({"frames": {"base": "tool", "end_effector": "base"}}, "does not hang on 'tool'"),
        ({"frames": {"base": "upper", "end_effector": "tool"}}, "expected shoulder, elbow"),
        ({"joints": {"names": ["shoulder", "wrist"]}}, "no joint 'wrist'; valid: mount, shoulder"),
        ({"urdf": "missing.urdf"}, "missing.urdf: cannot be read"),
        ({"kinematics": {"joints": []}}, "the URDF holds the kinematics already"),
    ],
)
def test_what_does_not_fit_the_urdf_is_named(
    folder: Path, changes: dict[str, object], line: str
) -> None:
    with pytest.raises(ConfigError, match=line):
        load_robot(described(folder, **changes))


BOMB = """<?xml version="1.0"?>
<!DOCTYPE robot [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>
<robot name="&b;"/>
"""


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (BOMB, "document types are refused"),
        (BOMB.encode("utf-16"), "document types are refused"),
        ('<!DOCTYPE robot SYSTEM "file:///etc/passwd"><robot/>', "document types are refused"),
        ("<robot>", "not an XML file"),
        ("<sdf/>", "expected <robot>; got <sdf>"),
        (
            '<robot xmlns:xacro="http://www.ros.org/wiki/xacro"><xacro:arm/></robot>',
            "run: xacro",
        ),
        ('<robot><joint name="j" type="fixed"/></robot>', "joint 'j': a wrong entry; got no <par"),
        (PLANAR.replace('xyz="0 0 2"', 'xyz="0 0 0"'), "the axis has no length"),
        (PLANAR.replace('lower="-1.5"', 'lower="nan"'), "lower is not finite"),
        (PLANAR.replace('xyz="1 0 0"', 'xyz="1 0"'), "joint 'elbow': a wrong entry"),
        (
            PLANAR.replace('name="elbow" type="revolute"', 'name="elbow" type="prismatic"'),
            "joint 'elbow' does not turn",
        ),
    ],
)
def test_files_that_are_no_urdf(folder: Path, text: str | bytes, line: str) -> None:
    path = folder / "planar.urdf"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(RobotPolicyError, match=line):
        load_robot(described(folder))


def test_a_joint_without_limits_needs_them_in_the_description(folder: Path) -> None:
    path = folder / "planar.urdf"
    path.write_text(
        PLANAR.replace('<limit lower="-1.5" upper="1.5" velocity="2.0" effort="1"/>', "")
    )
    assert read_urdf(path).limits(["shoulder"])["low"] == (None,)
    with pytest.raises(ConfigError, match=r"entry 'joints\.low' is missing"):
        load_robot(described(folder))


def test_extending_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.yaml").write_text("extends: b")
    (tmp_path / "b.yaml").write_text("extends: a")
    monkeypatch.setenv("ROBOT_POLICY_ROBOTS", str(tmp_path))
    assert {"a", "b"} <= set(robot_names())
    with pytest.raises(ConfigError, match="extends itself"):
        load_robot("a")
