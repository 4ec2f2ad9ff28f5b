"""A ROS of its own for every test, and a small policy and arm to put into it."""

import os
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robot_policy.core.observation import Candidates, Windows
from robot_policy.core.policy import Generators
from robot_policy.core.robot import RobotDescription, load_robot
from robot_policy.core.specs import PolicySpec


@pytest.fixture
def domain(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> int:
    """A DDS domain that no other test uses, reachable from this machine only."""
    monkeypatch.setenv("ROS_HOME", str(tmp_path_factory.mktemp("ros_home")))
    # Domains up to 101 use ports below those that the system gives to others.
    number = random.Random(f"{os.getpid()}-{time.monotonic_ns()}").randint(1, 101)
    monkeypatch.setenv("ROS_DOMAIN_ID", str(number))
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    return number


class Graph:
    """Some nodes in this process, served while the test waits."""

    def __init__(self) -> None:
        import rclpy
        from rclpy.executors import SingleThreadedExecutor

        rclpy.init()
        self._executor = SingleThreadedExecutor()
        self._nodes: list[Any] = []

    def add[N](self, node: N) -> N:
        self._executor.add_node(node)  # type: ignore[arg-type]
        self._nodes.append(node)
        return node

    def wait(self, condition: Callable[[], object], *, timeout_s: float = 10.0) -> None:
        """Serves messages until `condition` holds."""
        end = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < end, "timed out"
            self._executor.spin_once(timeout_sec=0.02)

    def close(self) -> None:
        import rclpy

        for node in self._nodes:
            node.destroy_node()
        self._executor.shutdown()
        rclpy.shutdown()


@pytest.fixture
def graph(domain: int) -> Iterator[Graph]:
    made = Graph()
    yield made
    made.close()


class LiftingPolicy:
    """Moves up by 10 mm a step, sideways in proportion to its height, and closes the gripper."""

    def __init__(self, *, environment_state: bool = False) -> None:
        robot = load_robot("panda_twin")
        self.spec: PolicySpec = replace(robot.spec(), history=2, horizon=4)
        if environment_state:
            from sim.registry import TASKS

            spec = TASKS["lift"].environment_state_spec
            self.spec = replace(self.spec, environment_state=spec)
        self.lift_m = 0.01
        self.windows: list[Windows] = []

    def reset(self) -> None:
        self.windows.clear()

    def sample(
        self, windows: Windows, *, num_samples: int = 1, generator: Generators
    ) -> Candidates:
        self.windows.append(windows)
        actions = np.zeros((windows.batch_size, num_samples, 4, 7), np.float32)
        actions[..., 1] = 0.05 * windows.state[:, -1, 10][:, None, None]
        actions[..., 2] = self.lift_m
        actions[..., 6] = 1.0
        return Candidates(actions)


@pytest.fixture
def policy() -> LiftingPolicy:
    return LiftingPolicy()


@pytest.fixture
def privileged_policy() -> LiftingPolicy:
    return LiftingPolicy(environment_state=True)


@pytest.fixture
def robot_yaml() -> str:
    root = Path(__file__).resolve().parents[2]
    return (root / "ros2_ws/src/robot_policy_ros/config/robots/panda_twin.yaml").read_text()


@pytest.fixture(scope="session")
def robot() -> RobotDescription:
    return load_robot("panda_twin")


class RestingArm:
    """An arm at rest, at 20 Hz, that notes what is sent to it.

    What `with_stamp` holds is called with the stamp of a moment before its joint state is sent.
    """

    def __init__(self, graph: Graph, robot: RobotDescription, **options: Any) -> None:
        from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
        from geometry_msgs.msg import PoseStamped, TwistStamped
        from rclpy.node import Node
        from sensor_msgs.msg import JointState
        from std_srvs.srv import Trigger

        from robot_policy_ros import conversions as convert
        from robot_policy_ros.qos import COMMAND, SENSOR

        self.node = graph.add(Node("arm", **options))
        self.with_stamp: list[Callable[[int], None]] = []
        self.twists: list[Any] = []
        self.statuses: list[DiagnosticStatus] = []
        self.node.create_subscription(
            TwistStamped,
            robot.command.topic,
            self.twists.append,
            COMMAND,
        )
        self.node.create_subscription(
            DiagnosticArray, "/diagnostics", lambda m: self.statuses.extend(m.status), 10
        )
        pose = self.node.create_publisher(PoseStamped, robot.ee_pose_topic, SENSOR)
        joints = self.node.create_publisher(JointState, robot.joint_states_topic, SENSOR)
        names = (*robot.joint_names, robot.gripper.joint)

        def publish() -> None:
            stamp_ns = self.node.get_clock().now().nanoseconds
            for send in self.with_stamp:
                send(stamp_ns)
            pose.publish(
                convert.pose_message(
                    np.array([0.5, 0, 0.2]), np.eye(3), frame=robot.base_frame, stamp_ns=stamp_ns
                )
            )
            joints.publish(
                convert.joint_state_message(
                    names, np.zeros(8), velocities=np.zeros(8), stamp_ns=stamp_ns
                )
            )

        self.node.create_timer(0.05, publish)
        self._reset = self.node.create_client(Trigger, "policy_node/reset")

    @property
    def moves(self) -> list[bool]:
        return [bool(m.twist.linear.z) for m in self.twists]

    def reset(self) -> Any:
        from std_srvs.srv import Trigger

        return self._reset.call_async(Trigger.Request())


@pytest.fixture
def resting_arm(graph: Graph, robot: RobotDescription) -> RestingArm:
    return RestingArm(graph, robot)


@pytest.fixture
def make_resting_arm(graph: Graph, robot: RobotDescription) -> Callable[..., RestingArm]:
    return lambda **options: RestingArm(graph, robot, **options)


@pytest.fixture
def arm(graph: Graph, robot: RobotDescription) -> Any:
    """An arm at rest, see `FakeArm`."""
    from fake_arm import FakeArm

    return graph.add(FakeArm(robot))
