"""Driving by hand over topics: devices, the arm behind topics, a whole session by its command."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy")
import rclpy
from geometry_msgs.msg import TwistStamped
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import JointState, Joy

from robot_policy.cli.main import main
from robot_policy.core.episode import Success
from robot_policy.core.errors import ConfigError
from robot_policy.core.robot import load_robot
from robot_policy.data.formats.registry import detect_format
from robot_policy.data.store import EpisodeStore
from robot_policy.runtime.hold import hold_action
from robot_policy.teleop.controls import Controls
from robot_policy.teleop.device import Device, DeviceSettings
from robot_policy_ros import conversions as convert
from robot_policy_ros.devices.registry import ROS_DEVICES
from robot_policy_ros.qos import COMMAND, SENSOR
from robot_policy_ros.teleop_arm import RosTeleopArm

pytestmark = pytest.mark.ros

ROBOT = load_robot("panda_twin")
LB, START, Y = 4, 7, 3
LEFT_Y = 1


class Hand:
    """A node that publishes what a hand does, and a device that listens to it."""

    def __init__(self, graph: Any) -> None:
        self.graph = graph
        self.node = graph.add(rclpy.create_node("hand"))
        self.listener = graph.add(rclpy.create_node("listener"))
        self.woken = 0

    def device(self, kind: str, path: str = "") -> Device:
        def wake() -> None:
            self.woken += 1

        return ROS_DEVICES[kind].open(DeviceSettings(ROBOT, path, wake), self.listener)

    def publish(
        self,
        device: Device,
        publisher: Any,
        message: Any,
        *,
        until: Callable[[Controls], bool] = lambda _: True,
    ) -> Controls:
        """Sends a message until the device says what is waited for; returns that."""

        def heard() -> bool:
            publisher.publish(message)
            now = device.read(0)
            return now is not None and until(now)

        self.graph.wait(heard)
        controls = device.read(0)
        assert controls is not None
        return controls


@pytest.fixture
def hand(graph: Any) -> Hand:
    return Hand(graph)


def twist(x: float, frame: str = ROBOT.base_frame) -> TwistStamped:
    message = TwistStamped()
    message.header.frame_id = frame
    message.twist.linear.x = x
    return message


def test_velocities_on_a_topic_move_until_they_are_zero(hand: Hand) -> None:
    device = hand.device("twist", "hand/twist")
    publisher = hand.node.create_publisher(TwistStamped, "hand/twist", COMMAND)
    controls = hand.publish(device, publisher, twist(0.1))
    assert controls.active
    np.testing.assert_allclose(controls.twist, [0.1, 0, 0, 0, 0, 0])
    assert hand.woken
    hand.publish(device, publisher, twist(0.0), until=lambda controls: not controls.active)
    device.close()


def test_velocities_in_another_frame_are_no_motion(hand: Hand) -> None:
    device = hand.device("twist", "hand/twist")
    publisher = hand.node.create_publisher(TwistStamped, "hand/twist", COMMAND)
    assert not hand.publish(device, publisher, twist(0.1, frame="camera")).active
    device.close()


def joy(*down: int, left_y: float = 0.0) -> Joy:
    message = Joy()
    message.axes = [left_y if axis == LEFT_Y else 0.0 for axis in range(8)]
    message.buttons = [int(button in down) for button in range(11)]
    return message


def test_a_pad_moves_while_its_dead_man_is_held(hand: Hand) -> None:
    device = hand.device("joy", "hand/joy")
    publisher = hand.node.create_publisher(Joy, "hand/joy", COMMAND)
    free = hand.publish(device, publisher, joy(left_y=1.0))
    assert not free.active
    assert not free.velocity.any()
    held = hand.publish(device, publisher, joy(LB, left_y=1.0), until=lambda c: c.active)
    np.testing.assert_allclose(held.velocity, [1, 0, 0, 0, 0, 0])
    # Fewer axes and buttons than a pad has are none pressed.
    hand.publish(device, publisher, Joy(), until=lambda controls: not controls.active)
    device.close()


def joints(positions: list[float], names: tuple[str, ...]) -> JointState:
    return convert.joint_state_message(
        names, np.array(positions), velocities=np.zeros(len(positions)), stamp_ns=1
    )


def test_a_leader_arm_is_followed_while_it_moves(hand: Hand, tmp_path: Path) -> None:
    names = [f"leader_{i}" for i in range(7)]
    file = tmp_path / "leader.yaml"
    file.write_text(
        f"topic: hand/leader\njoints: [{', '.join(names)}]\nsigns: [1, -1, 1, 1, 1, 1, 1]\n"
        "radians: 0.017453292519943295\ngripper: handle\ngripper_open: 10\ngripper_closed: 0\n"
    )
    device = hand.device("leader", str(file))
    publisher = hand.node.create_publisher(JointState, "hand/leader", SENSOR)
    all_names = (*names, "handle")
    first = hand.publish(device, publisher, joints([0.0] * 7 + [10.0], all_names))
    assert not first.active, "nobody has touched it yet"
    there = joints([0, 30.0, 0, 0, 0, 0, 0, 2.5], all_names)
    moved = hand.publish(device, publisher, there, until=lambda controls: controls.active)
    assert moved.joints is not None
    np.testing.assert_allclose(moved.joints, np.deg2rad([0, -30, 0, 0, 0, 0, 0]), atol=1e-9)
    assert moved.gripper == pytest.approx(0.75)
    device.close()


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("joints: [a, b]", "one of joints per joint of panda_twin"),
        ("joints: 5", "no description of a leader arm"),
        ("nonsense: 1", "no description of a leader arm"),
    ],
)
def test_a_leader_that_does_not_fit_is_refused(
    hand: Hand, tmp_path: Path, text: str, line: str
) -> None:
    file = tmp_path / "leader.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=line):
        hand.device("leader", str(file))


@pytest.fixture
def reached(graph: Any, arm: Any) -> Iterator[RosTeleopArm]:
    made = RosTeleopArm(rclpy.create_node("teleop"), ROBOT, ROBOT.spec())
    yield made
    made.close()


def test_an_arm_behind_topics_is_seen_and_commanded(
    graph: Any, arm: Any, reached: RosTeleopArm
) -> None:
    graph.wait(lambda: reached.observe()[0] is not None)
    observation, problem = reached.observe()
    assert observation is not None
    assert not problem
    action = hold_action(ROBOT, observation.state, gripper=0.0)
    action[2] = 0.01

    def commanded() -> bool:
        reached.send(action)
        return any(arm.moves())

    graph.wait(commanded)
    assert arm.twists[-1].twist.linear.z == pytest.approx(0.01 * ROBOT.rate_hz)


def test_an_arm_that_falls_silent_is_not_seen_any_more(
    graph: Any, arm: Any, reached: RosTeleopArm
) -> None:
    graph.wait(lambda: reached.observe()[0] is not None)
    arm.silent = True
    graph.wait(lambda: reached.observe()[0] is None)
    assert "joint_states" in reached.observe()[1]


class Pad:
    """Publishes what a pad shows, at 50 Hz, from a node of its own."""

    def __init__(self, domain: int) -> None:
        self._context = rclpy.Context()
        rclpy.init(context=self._context, domain_id=domain)
        self._node = rclpy.create_node("pad", context=self._context)
        self._publisher = self._node.create_publisher(Joy, "joy", COMMAND)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)

    def show(self, message: Joy, *, until: Callable[[], bool], timeout_s: float) -> None:
        end_s = time.monotonic() + timeout_s
        while not until():
            assert time.monotonic() < end_s, "timed out"
            self._publisher.publish(message)
            self._executor.spin_once(timeout_sec=0.02)

    def hold(self, message: Joy, seconds: float) -> None:
        end_s = time.monotonic() + seconds
        self.show(message, until=lambda: time.monotonic() > end_s, timeout_s=2 * seconds + 1)

    def close(self) -> None:
        self._executor.shutdown()
        self._node.destroy_node()
        rclpy.shutdown(context=self._context)


@pytest.mark.slow
def test_a_pad_drives_the_twins_node_and_is_recorded(domain: int, tmp_path: Path) -> None:
    """The command as a person starts it; a bag of the episode is written beside the dataset."""
    pytest.importorskip("robosuite")
    dataset, bags = tmp_path / "hand", tmp_path / "bags"
    words = [
        *("teleop", "lift", "--via", "nodes", "--device", "joy", "--no-console"),
        *("--output", str(dataset), "--bags", str(bags), "--domain", str(domain)),
    ]
    process = subprocess.Popen([sys.executable, "-m", "robot_policy.cli.main", *words])
    pad = Pad(domain)

    def episodes() -> int:
        assert process.poll() is None, "it ended by itself"
        return len(detect_format(dataset).open(dataset)) if _has_rows(dataset) else 0

    try:
        pad.show(joy(START), until=lambda: _began(bags), timeout_s=60)
        pad.hold(joy(LB, left_y=1.0), 2.0)
        pad.hold(joy(), 0.3)
        pad.show(joy(Y), until=lambda: episodes() == 1, timeout_s=30)
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) in (0, 130)
        pad.close()
    store = EpisodeStore.open(dataset)
    (episode,) = store.episodes
    assert episode.success == Success.YES
    forward = np.flatnonzero(store.actions[:, 0] > 0)
    assert len(forward) >= 0.5 * 2.0 * ROBOT.rate_hz
    assert episode.task == "lift the red cube"
    place = store.state[:, ROBOT.spec().state.names.index("ee_x")]
    assert place[-1] - place[0] > 0.02
    assert main(["data", "validate", str(dataset)]) == 0
    (bag,) = bags.iterdir()
    words = ["data", "convert", str(bag), str(tmp_path / "again"), "--to", "lerobot_v3"]
    assert main([*words, "--robot", "panda_twin", "--task", episode.task]) == 0
    again = EpisodeStore.open(tmp_path / "again")
    assert [e.task for e in again.episodes] == [episode.task]
    assert len(again) == pytest.approx(len(store), abs=4)


def _has_rows(dataset: Path) -> bool:
    return any(dataset.glob("meta/episodes/**/*.parquet"))


def _began(bags: Path) -> bool:
    return bags.exists() and any(bags.iterdir())
