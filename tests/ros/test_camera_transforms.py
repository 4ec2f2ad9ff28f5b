"""Calibrated cameras over real DDS topics: their transforms, and a warning where they moved."""

import json
import sys
import types
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

pytest.importorskip("rclpy")
from geometry_msgs.msg import TransformStamped
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.node import Node
from rclpy.parameter import Parameter

from robot_policy.core.geometry import matrix_from_rotvec, transform
from robot_policy.core.robot import RobotDescription, load_robot
from robot_policy_ros import camera_transforms
from robot_policy_ros.camera_transforms import TF_STATIC, CameraTransforms
from robot_policy_ros.conversions import ns_from_stamp
from robot_policy_ros.policy_node import PolicyNode
from robot_policy_ros.qos import LATCHED

pytestmark = pytest.mark.ros

POSE = transform(matrix_from_rotvec(np.array([0.3, -1.0, 2.0])), np.array([1.0, 0.1, 0.4]))


def calibrated(folder: Path, robot_yaml: str, pose: np.ndarray) -> Path:
    folder.mkdir()
    (folder / "a.json").write_text(json.dumps({"values": {"base_T_camera": pose.tolist()}}))
    data = yaml.safe_load(robot_yaml)
    data["cameras"]["agentview"]["calibration"] = "a.json"
    path = folder / "panda_twin.yaml"
    path.write_text(yaml.safe_dump(data))
    return path


@pytest.fixture
def robot_path(tmp_path: Path, robot_yaml: str) -> Path:
    return calibrated(tmp_path / "now", robot_yaml, POSE)


def check(message: TransformStamped, robot: RobotDescription) -> None:
    assert message.header.frame_id == "panda_link0"
    assert message.child_frame_id == robot.cameras["agentview"].frame
    assert message.transform.translation.x == pytest.approx(1.0)
    assert ns_from_stamp(message.header.stamp) > 0
    calibration = robot.calibrations["agentview"]
    turn = message.transform.rotation
    assert (turn.w, turn.x, turn.y, turn.z) == pytest.approx(calibration.quat_wxyz)


def test_the_node_publishes_transforms_that_late_listeners_get(
    graph: Any, policy: Any, robot_path: Path
) -> None:
    if camera_transforms._tf_message() is not None:
        pytest.skip("tf2_msgs is installed")
    overrides = [Parameter("checkpoint", value="x"), Parameter("robot", value=str(robot_path))]
    node = graph.add(PolicyNode(load=lambda _: policy, parameter_overrides=overrides))
    assert node.trigger_configure() == TransitionCallbackReturn.SUCCESS
    got: list[TransformStamped] = []
    listener = graph.add(Node("listener"))
    topic = "/policy_node/agentview/transform"
    listener.create_subscription(TransformStamped, topic, got.append, LATCHED)
    graph.wait(lambda: got)
    check(got[0], load_robot(robot_path))
    assert node.trigger_cleanup() == TransitionCallbackReturn.SUCCESS
    graph.wait(lambda: not listener.get_publishers_info_by_topic(topic))


def test_with_tf2_they_go_to_tf_static(
    graph: Any, robot_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """tf2_msgs is not in the wheels: a stand-in for its message, and for who publishes it."""

    class TFMessage:
        def __init__(self, *, transforms: list[TransformStamped]) -> None:
            self.transforms = transforms

    module = types.ModuleType("tf2_msgs.msg")
    module.TFMessage = TFMessage  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tf2_msgs", types.ModuleType("tf2_msgs"))
    monkeypatch.setitem(sys.modules, "tf2_msgs.msg", module)
    sent: list[tuple[str, Any, Any]] = []

    class Publisher:
        def __init__(self, topic: str, qos: Any) -> None:
            self._topic, self._qos = topic, qos

        def publish(self, message: Any) -> None:
            sent.append((self._topic, self._qos, message))

    node = graph.add(Node("broadcaster"))
    monkeypatch.setattr(node, "create_publisher", lambda _, topic, qos: Publisher(topic, qos))
    robot = load_robot(robot_path)
    CameraTransforms(node, robot)
    ((topic, qos, message),) = sent
    assert topic == TF_STATIC
    assert qos is LATCHED
    check(message.transforms[0], robot)


def test_a_camera_that_moved_since_the_training_is_warned_of(
    graph: Any,
    policy: Any,
    robot_path: Path,
    robot_yaml: str,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    shift = transform(np.eye(3), np.array([0.0, 0.03, 0.0]))
    before = load_robot(calibrated(tmp_path / "then", robot_yaml, shift @ POSE))
    policy.spec = replace(policy.spec, calibrations=before.calibrations)
    overrides = [Parameter("checkpoint", value="x"), Parameter("robot", value=str(robot_path))]
    node = graph.add(PolicyNode(load=lambda _: policy, parameter_overrides=overrides))
    assert node.trigger_configure() == TransitionCallbackReturn.SUCCESS, "a warning, no refusal"
    logged = "".join(capfd.readouterr())
    assert "camera agentview is 30.0 mm and 0.00 deg from where it was" in logged
