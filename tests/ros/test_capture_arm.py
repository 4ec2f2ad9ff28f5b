"""Samples through topics: what is read, what is sent, and a whole capture by the nodes."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy")
from sensor_msgs.msg import CameraInfo, Image

from robot_policy.cli.main import main
from robot_policy.core.robot import load_robot
from robot_policy.runtime.hold import hold_action
from robot_policy_ros import conversions as convert
from robot_policy_ros import lifecycle_client
from robot_policy_ros.capture_arm import RosCaptureArm
from robot_policy_ros.lifecycle_client import NodeCallError, ServiceCaller
from robot_policy_ros.qos import SENSOR

pytestmark = pytest.mark.ros


@pytest.fixture
def caller(graph: Any) -> Any:
    import rclpy

    made = ServiceCaller(rclpy.create_node("capture"))
    yield made
    made.close()
    made.node.destroy_node()


@pytest.fixture
def served(graph: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other nodes of the test are served whenever the arm waits."""
    serve = lifecycle_client.SingleThreadedExecutor.spin_once

    def both(executor: Any, timeout_sec: float | None = None) -> None:
        serve(graph._executor, timeout_sec=0.005)
        serve(executor, timeout_sec=0.005)

    monkeypatch.setattr(lifecycle_client.SingleThreadedExecutor, "spin_once", both)


def test_readings_commands_and_pictures(arm: Any, caller: ServiceCaller, served: None) -> None:
    robot = load_robot("panda_twin")
    eyes = RosCaptureArm(caller, robot, ("wrist",))
    first = eyes.step(None)
    second = eyes.step(hold_action(robot, first.state(robot), gripper=0.0))
    assert second.stamp_ns > first.stamp_ns
    np.testing.assert_allclose(second.base_T_ee[:3, 3], [0.5, 0, 0.2])
    np.testing.assert_array_equal(second.velocities, np.zeros(7))
    eyes.step(None)
    assert not any(arm.moves())
    assert arm.fingers == []  # the gripper has a topic of its own, and is left alone
    images = arm.create_publisher(Image, robot.cameras["wrist"].image_topic, SENSOR)
    infos = arm.create_publisher(CameraInfo, robot.cameras["wrist"].info_topic, SENSOR)
    K = np.array([[300.0, 0, 31], [0, 301, 23], [0, 0, 1]])
    pixels = np.zeros((48, 64, 3), np.uint8)

    def publish() -> None:
        stamp = {"stamp_ns": arm.get_clock().now().nanoseconds, "frame": "f"}
        images.publish(convert.image_message(pixels, **stamp))
        infos.publish(convert.camera_info_message(K, height=48, width=64, **stamp))

    arm.create_timer(0.05, publish)
    picture = eyes.picture("wrist", not_before_ns=second.stamp_ns)
    assert picture.stamp_ns >= second.stamp_ns
    assert picture.pixels.shape == (48, 64, 3)
    lens = eyes.lens("wrist")
    assert lens is not None
    np.testing.assert_allclose(lens.parameters[:4], [300, 301, 31, 23])


def test_what_does_not_come_is_named(
    arm: Any, caller: ServiceCaller, served: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    import robot_policy_ros.capture_arm as module

    for name in ("_FIRST_S", "_USUAL_S", "_INFO_S"):
        monkeypatch.setattr(module, name, 0.3)
    robot = load_robot("panda_twin")
    eyes = RosCaptureArm(caller, robot, ("wrist",))
    eyes.step(None)
    with pytest.raises(NodeCallError, match="wrist/image_raw: no answer"):
        eyes.picture("wrist", not_before_ns=0)
    assert eyes.lens("wrist") is None
    arm.silent = True

    def listen() -> None:
        for _ in range(3):
            eyes.step(None)

    with pytest.raises(NodeCallError, match="joint_states of panda_twin: no answer"):
        listen()


@pytest.mark.slow
def test_a_capture_through_the_twins_node(domain: int, tmp_path: Path) -> None:
    pytest.importorskip("robosuite")
    board = tmp_path / "board"
    assert main(["calibrate", "board", "--output", str(board)]) == 0
    report = tmp_path / "report.json"
    arguments = [
        *("--output", str(tmp_path / "s"), "--board", str(board / "board.yaml")),
        *("--mounting", "eye_in_hand", "--via", "nodes", "--domain", str(domain)),
        *("--poses", "6", "--speed", "1", "--json", str(report)),
    ]
    assert main(["calibrate", "capture", *arguments]) == 0
    told = json.loads(report.read_text())
    assert (told["taken"], told["outside"]) == (6, 0)
    found = tmp_path / "found.json"
    common = ["--board", str(board / "board.yaml"), "--mounting", "eye_in_hand"]
    lens = ["--intrinsics", str(tmp_path / "s/wrist.yaml"), "--output", str(found)]
    assert main(["calibrate", "hand-eye", str(tmp_path / "s"), *common, *lens]) == 0


@pytest.mark.slow
def test_a_person_is_watched_through_topics(domain: int, tmp_path: Path) -> None:
    """The twin rests, as an arm does that nobody moves any more: that is one sample."""
    import os
    import subprocess
    import sys

    from robot_policy_ros import composition
    from robot_policy_ros.child_processes import ChildProcesses
    from robot_policy_ros.shared_memory import large_images

    pytest.importorskip("robosuite")
    board = tmp_path / "board"
    assert main(["calibrate", "board", "--output", str(board)]) == 0
    parameters = {
        **{"robot": "panda_twin_joint", "cameras": "wrist", "board": str(board / "board.yaml")},
        **{"image_height": 480, "image_width": 640},
    }
    command = composition.node_command(sys.executable, composition.TWIN_NODE, parameters=parameters)
    words = [
        *("calibrate", "capture", "--guided", "--via", "ros", "--poses", "1"),
        *("--output", str(tmp_path / "s"), "--board", str(board / "board.yaml")),
        *("--mounting", "eye_in_hand", "--cameras", "wrist"),
    ]
    # As whoever runs drivers of large images has to do, see docs/ros2.md.
    environment = {**os.environ, **large_images(tmp_path)}
    with ChildProcesses() as children:
        children.start("twin", command, environment=environment)
        done = subprocess.run(
            [sys.executable, "-m", "robot_policy.cli.main", *words],
            stdin=subprocess.DEVNULL,
            env=environment,
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert "1/1  24 corners  still" in done.stderr
    assert "1 samples, 1 of them new" in done.stdout
