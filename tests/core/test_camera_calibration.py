"""Where a camera is: from the file of a calibration into descriptions, datasets, warnings."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from robot_policy.core.camera_calibration import CameraCalibration, calibration_changes
from robot_policy.core.errors import ConfigError
from robot_policy.core.geometry import matrix_from_rotvec, transform
from robot_policy.core.robot import load_robot, parse_robot
from robot_policy.core.specs import PolicySpec, check_runs_on

TWIN = (
    Path(__file__).resolve().parents[2]
    / "ros2_ws/src/robot_policy_ros/config/robots/panda_twin.yaml"
)
POSE = transform(matrix_from_rotvec(np.array([0.3, -1.0, 2.0])), np.array([1.0, 0.1, 0.4]))


def calibrated(folder: Path, pose: np.ndarray, *, name: str = "base_T_camera") -> Path:
    """A description in `folder` that refers to a calibration, and that calibration."""
    (folder / "calibrations").mkdir(parents=True, exist_ok=True)
    result = {"kind": "hand_eye", "values": {name: pose.tolist()}}
    (folder / "calibrations/agentview.json").write_text(json.dumps(result))
    data: dict[str, Any] = yaml.safe_load(TWIN.read_text())
    data["cameras"]["agentview"]["calibration"] = "calibrations/agentview.json"
    path = folder / "panda_twin.yaml"
    path.write_text(yaml.safe_dump(data))
    return path


@pytest.mark.parametrize(
    ("name", "parent"),
    [
        ("base_T_camera", "panda_link0"),
        ("gripper_T_camera", "panda_hand_tcp"),
        # As in the result of several cameras.
        ("base_T_agentview", "panda_link0"),
        ("gripper_T_agentview", "panda_hand_tcp"),
    ],
)
def test_a_description_refers_to_a_calibration(tmp_path: Path, name: str, parent: str) -> None:
    robot = load_robot(calibrated(tmp_path, POSE, name=name))
    calibration = robot.cameras["agentview"].calibration
    assert calibration is not None
    assert calibration.parent == parent
    np.testing.assert_allclose(calibration.parent_T_camera, POSE, atol=1e-12)
    assert robot.cameras["wrist"].calibration is None
    assert list(robot.spec().calibrations) == ["agentview"]


def test_yaml_and_json_are_read_and_a_change_of_the_file_changes_the_digest(tmp_path: Path) -> None:
    files = [tmp_path / "a.yaml", tmp_path / "b.json"]
    for path in files:
        path.write_text(json.dumps({"values": {"base_T_camera": POSE.tolist()}}))
    frames = {"base_frame": "base", "ee_frame": "tool"}
    first, second = (CameraCalibration.read(path, **frames) for path in files)
    assert first == second
    files[0].write_text(files[0].read_text() + " ")
    assert CameraCalibration.read(files[0], **frames).digest != first.digest
    assert CameraCalibration.from_json(json.loads(json.dumps(first.to_json()))) == first


def test_a_spec_carries_it_through_json_and_old_ones_have_none(tmp_path: Path) -> None:
    spec = load_robot(calibrated(tmp_path, POSE)).spec(cameras=("agentview",))
    data = json.loads(json.dumps(spec.to_json()))
    assert PolicySpec.from_json(data) == spec
    del data["calibrations"]
    assert PolicySpec.from_json(data).calibrations == {}


def test_how_far_a_camera_moved_is_said_and_nothing_is_refused(tmp_path: Path) -> None:
    before = load_robot(calibrated(tmp_path / "a", POSE)).spec()
    turned = transform(matrix_from_rotvec(np.array([0.0, 0.0, np.deg2rad(2.0)])), np.zeros(3))
    moved = transform(np.eye(3), np.array([0.0, 0.03, 0.0])) @ POSE @ turned
    after = load_robot(calibrated(tmp_path / "b", moved)).spec()
    (change,) = calibration_changes(before.calibrations, after.calibrations)
    assert "agentview is 30.0 mm and 2.00 deg from where it was" in change
    check_runs_on(before, after, where="the arm")
    assert calibration_changes(before.calibrations, before.calibrations) == []
    (lost,) = calibration_changes(before.calibrations, {})
    assert "refers to no calibration" in lost
    hand = load_robot(calibrated(tmp_path / "c", POSE, name="gripper_T_camera")).spec()
    (other,) = calibration_changes(before.calibrations, hand.calibrations)
    assert "fixed to panda_link0, and now is to panda_hand_tcp" in other
    nearly = transform(np.eye(3), np.array([0.0003, 0.0, 0.0])) @ POSE
    same = load_robot(calibrated(tmp_path / "d", nearly)).spec()
    assert calibration_changes(before.calibrations, same.calibrations) == []
    assert calibration_changes({}, before.calibrations) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "no such calibration"),
        ("{", "not a calibration"),
        ("[1, 2]", "a mapping with 'values'"),
        ('{"values": {"camera_matrix": [[1]]}}', "expected base_T_camera or gripper_T_camera"),
        ('{"values": {"base_T_camera": [1, 2, 3]}}', "no 4 x 4 matrix"),
        (json.dumps({"values": {"base_T_camera": (2 * np.eye(4)).tolist()}}), "no rigid transform"),
    ],
)
def test_what_is_wrong_with_a_calibration_is_said(
    tmp_path: Path, text: str | None, message: str
) -> None:
    path = calibrated(tmp_path, POSE)
    file = tmp_path / "calibrations/agentview.json"
    file.unlink() if text is None else file.write_text(text)
    with pytest.raises(ConfigError, match=message):
        load_robot(path)


def test_without_a_folder_names_begin_in_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = yaml.safe_load(calibrated(tmp_path, POSE).read_text())
    monkeypatch.chdir(tmp_path)
    assert parse_robot(data, where="test").calibrations


def test_a_description_that_extends_another_has_its_calibrations(tmp_path: Path) -> None:
    base = calibrated(tmp_path / "base", POSE)
    other = tmp_path / "other.yaml"
    other.write_text(f"extends: {base}\nname: other\n")
    assert load_robot(other).calibrations == load_robot(base).calibrations
