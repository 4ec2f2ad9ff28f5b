"""Policy node and twin node over every command interface: the arm does what it is told."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy")
pytest.importorskip("robosuite")
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import JointState

from robot_policy.core.observation import Candidates, Observation, Windows
from robot_policy.core.policy import Generators
from robot_policy.core.robot import load_robot
from robot_policy.runtime.agent import Agent, AgentConfig
from robot_policy.runtime.translation import Translation
from robot_policy_ros.episode import Episode
from robot_policy_ros.interfaces.registry import INTERFACES
from robot_policy_ros.policy_node import PolicyNode
from robot_policy_ros.qos import COMMAND, LATCHED, SENSOR
from robot_policy_ros.status_message import status_values
from robot_policy_ros.twin_node import TwinNode
from sim.registry import make_environment

pytestmark = pytest.mark.ros

STEPS = 8
VARIANTS = ("panda_twin", "panda_twin_pose", "panda_twin_joint", "panda_twin_chunk")


class Lifting:
    """Sends the hand up by 20 mm from where it is, in the robot's own action space."""

    def __init__(self, robot: str) -> None:
        self.robot = load_robot(robot)
        self.spec = replace(self.robot.spec(), horizon=4)
        self.translation = Translation(self.robot)
        self.windows: list[Windows] = []

    def reset(self) -> None:
        self.windows.clear()
        self.translation.reset()

    def sample(
        self, windows: Windows, *, num_samples: int = 1, generator: Generators
    ) -> Candidates:
        self.windows.append(windows)
        state = windows.state[0, -1]
        action = np.zeros(self.spec.action.size, np.float32)
        if state.any():  # the state of the warm-up is nowhere
            up = np.array([0, 0, 0.02, 0, 0, 0, 1.0])
            action = self.translation.action(up, Observation(0, state))
        return Candidates(np.tile(action, (1, num_samples, 4, 1)))


class Watcher(Node):
    """Notes how the episode goes and where the joints are."""

    def __init__(self) -> None:
        super().__init__("watcher")
        self.episodes: list[Episode] = []
        self.joints: list[JointState] = []
        self.create_subscription(DiagnosticStatus, "twin_node/episode", self._on_episode, LATCHED)
        self.create_subscription(JointState, "joint_states", self.joints.append, SENSOR)

    def _on_episode(self, message: DiagnosticStatus) -> None:
        self.episodes.append(Episode.from_values(status_values(message)))

    @property
    def step(self) -> int:
        return self.episodes[-1].step if self.episodes else -1


def parameters(**values: Any) -> list[Parameter]:
    return [Parameter(name, value=value) for name, value in values.items()]


@pytest.mark.parametrize("robot", [*VARIANTS, "panda_twin_forward"])
def test_the_arm_follows_as_it_does_in_process(graph: Any, robot: str) -> None:
    policy, watcher = Lifting(robot), graph.add(Watcher())
    # Slower than real time, so that no command is late on a busy machine.
    rate = {"rate_hz": 5.0, "robot": robot}
    twin = parameters(seed=7, max_episode_steps=STEPS, **rate)
    graph.add(TwinNode(parameter_overrides=twin))
    settings = parameters(checkpoint="handwritten", execute_steps=2, max_age_s=5.0, **rate)
    node = graph.add(PolicyNode(load=lambda _: policy, parameter_overrides=settings))
    graph.wait(lambda: watcher.step == 0)
    node.trigger_configure()
    policy.reset()
    node.trigger_activate()
    graph.wait(lambda: watcher.episodes[-1].finished, timeout_s=20)
    node.trigger_deactivate()
    assert watcher.step == STEPS
    assert watcher.episodes[-1].held == 0
    seen = [windows.state[0, -1] for windows in policy.windows[: STEPS // 2]]
    expected = states_in_process(Lifting(robot))
    np.testing.assert_allclose(seen, expected, atol=2e-4)
    assert policy.robot.ee_position(seen[-1])[2] > policy.robot.ee_position(seen[0])[2] + 0.015


def states_in_process(policy: Lifting) -> list[np.ndarray]:
    """The states at which the same agent plans in the harness."""
    agent = Agent(policy, policy.robot, config=AgentConfig(execute_steps=2))
    environment = make_environment("lift", robot=policy.robot.name)
    agent.reset(seed=0)
    observation = environment.reset(7)
    for _ in range(STEPS):
        observation = environment.step(agent.act(observation).action).observation
    environment.close()
    return [windows.state[0, -1] for windows in policy.windows]


def test_a_chunk_is_executed_to_its_end_without_another_message(graph: Any) -> None:
    robot, watcher = load_robot("panda_twin_chunk"), graph.add(Watcher())
    settings = parameters(robot=robot.name, seed=7, max_episode_steps=25, rate_hz=50.0)
    graph.add(TwinNode(parameter_overrides=settings))
    form = INTERFACES[robot.command.interface](robot)
    publisher = watcher.create_publisher(form.message_type, robot.command.topic, COMMAND)
    graph.wait(lambda: watcher.step == 0 and watcher.joints)
    graph.wait(lambda: publisher.get_subscription_count() == 1)
    here = np.array(watcher.joints[-1].position[:7])
    ramp = here + np.linspace(0.02, 0.2, 10)[:, None] * np.eye(7)[0]
    publisher.publish(form.message(ramp, stamp_ns=0))
    graph.wait(lambda: watcher.episodes[-1].finished, timeout_s=20)
    graph.wait(lambda: watcher.joints[-1].position[0] > here[0] + 0.15)
    assert watcher.joints[-1].position[0] == pytest.approx(ramp[-1, 0], abs=0.02)
    assert watcher.episodes[-1].held == 25 - 10
