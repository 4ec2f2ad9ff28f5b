"""A twin, a policy node that hears it through a relay, and a record of what the node commands."""

import os
import random
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped, TwistStamped
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64, Float64MultiArray

from robot_policy.core.robot import load_robot
from robot_policy.core.robot_description import RobotDescription
from robot_policy_ros import composition
from robot_policy_ros.child_processes import ChildProcesses
from robot_policy_ros.composition import POLICY_NODE, TWIN_NODE, node_name
from robot_policy_ros.lifecycle_client import NodeCallError, ServiceCaller
from robot_policy_ros.node_main import EXIT_WITH_PARENT
from robot_policy_ros.qos import COMMAND, SENSOR
from robot_policy_ros.status_message import status_values

ROBOT = "panda_twin"
TASK = "lift"
MAX_AGE_S, PLAN_DEADLINE_S, FAULT_AFTER_S = 0.3, 0.5, 0.5
_EXECUTE_STEPS = 8
_RELAYED = "relayed"
_PATIENCE_S = 60.0
_HIGHEST_DOMAIN = 101

type Change = Callable[[Any], list[Any]]
"""Turns a message into those that are passed on."""


@dataclass(frozen=True, slots=True)
class Command:
    """A command of the policy node.

    Attributes:
        at_s: When it arrived, monotonic [s].
        motion: (6,) displacement over one control period [m, rad].
    """

    at_s: float
    motion: tuple[float, ...]

    @property
    def moves(self) -> bool:
        """Whether it moves the arm."""
        return any(self.motion)


@dataclass
class Heard:
    """What the node has said, in the order in which it came.

    Attributes:
        commands: Of the arm.
        statuses: Of itself.
        asks_s: When it asks for the plan after the last one that it got, monotonic [s].
    """

    commands: list[Command] = field(default_factory=list)
    statuses: list[dict[str, str]] = field(default_factory=list)
    asks_s: float = 0.0


def input_topics(robot: RobotDescription) -> tuple[str, str, str]:
    """Topics of joint states, pose and privileged state."""
    pose, privileged = robot.ee_pose_topic, robot.environment_state_topic
    assert pose is not None
    assert privileged is not None
    return robot.joint_states_topic, pose, privileged


class Relay(Node):
    """Passes the twin's state on to the policy node, changed where a fault says so."""

    def __init__(self, *, policy: str) -> None:
        super().__init__("relay")
        robot = load_robot(ROBOT)
        self.heard = Heard()
        self.changes: dict[str, Change] = {}
        self.relayed = 0
        self._dt_s = robot.dt_s
        self._policy = policy
        self._robot = robot
        kinds = (JointState, PoseStamped, Float64MultiArray)
        for topic, kind in zip(input_topics(robot), kinds, strict=True):
            self._relay(topic, kind)
        self.create_subscription(TwistStamped, robot.command.topic, self._on_twist, COMMAND)
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)
        self.create_subscription(Float64, f"{policy}/planning_ms", self._on_plan, COMMAND)

    def _relay(self, topic: str, kind: Any) -> None:
        publisher = self.create_publisher(kind, f"{_RELAYED}/{topic}", SENSOR)

        def received(message: Any) -> None:
            self.relayed += 1
            change = self.changes.get(topic)
            for passed in [message] if change is None else change(message):
                publisher.publish(passed)

        self.create_subscription(kind, topic, received, SENSOR)

    def _on_twist(self, message: TwistStamped) -> None:
        twist = message.twist
        rates = (
            *(twist.linear.x, twist.linear.y, twist.linear.z),
            *(twist.angular.x, twist.angular.y, twist.angular.z),
        )
        motion = tuple(rate * self._dt_s for rate in rates)
        self.heard.commands.append(Command(time.monotonic(), motion))

    def _on_plan(self, message: Float64) -> None:
        """The next plan is asked for so many periods after the observation of this one."""
        steps_s = _EXECUTE_STEPS * self._dt_s
        self.heard.asks_s = time.monotonic() - 1e-3 * message.data + steps_s

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name == self._policy:
                self.heard.statuses.append({**status_values(status), "message": status.message})


class FaultRig:
    """Starts the processes, and the relay in a thread; a context manager.

    Args:
        source: Parameter of the policy node that names the policy: ``checkpoint`` or ``server``.
        reports: Folder for the node's fault reports.
    """

    def __init__(self, source: Mapping[str, str], reports: Path) -> None:
        self._source = source
        self._reports = reports
        self.policy, self.twin = node_name(POLICY_NODE), node_name(TWIN_NODE)
        self.robot = load_robot(ROBOT)
        self._twin_process, self._policy_process = ChildProcesses(), ChildProcesses()
        self._stopping = threading.Event()

    def __enter__(self) -> Self:
        domain = random.SystemRandom().randint(1, _HIGHEST_DOMAIN)
        os.environ.update(composition.localhost_environment(domain))
        self.start_twin()
        self._start_policy()
        rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
        self.relay = Relay(policy=self.policy)
        self._thread = threading.Thread(target=self._serve, name="relay")
        self._thread.start()
        self.caller = ServiceCaller(rclpy.create_node("campaign"))
        self.caller.transition(self.policy, "configure", timeout_s=120.0)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stopping.set()
        self._thread.join()
        self.caller.close()
        rclpy.shutdown()
        self._policy_process.close()
        self._twin_process.close()

    @property
    def heard(self) -> Heard:
        """What the node has said."""
        return self.relay.heard

    @property
    def status(self) -> dict[str, str]:
        """What the node said last of itself."""
        return self.heard.statuses[-1] if self.heard.statuses else {}

    def worker(self) -> psutil.Process:
        """The process of the policy node that plans."""
        found = [
            child
            for process in psutil.Process().children(recursive=True)
            if POLICY_NODE in " ".join(process.cmdline())
            for child in process.children()
            if "resource_tracker" not in " ".join(child.cmdline())
        ]
        if len(found) != 1:
            raise NodeCallError("the worker was not found", where=self.policy, got=len(found))
        return found[0]

    def start_twin(self) -> None:
        """Starts the twin."""
        parameters = {"task": TASK, "robot": ROBOT}
        command = composition.node_command(sys.executable, TWIN_NODE, parameters=parameters)
        self._twin_process.start(TWIN_NODE, command, environment=_environment())

    def restart_twin(self) -> None:
        """Starts the twin again and waits until it is there: until then its services are deaf."""
        before = self.relay.relayed
        self.start_twin()
        self.wait(lambda: self.relay.relayed > before, what="the twin")

    def kill_twin(self) -> None:
        """Kills the twin without a warning."""
        for process in psutil.Process().children():
            if TWIN_NODE in " ".join(process.cmdline()):
                process.kill()
                process.wait()
        self._twin_process.close()

    def begin(self, seed: int) -> None:
        """Starts an episode and waits until the arm moves."""
        call = self.caller
        call.set_parameters(self.twin, {"seed": seed}, timeout_s=_PATIENCE_S)
        call.trigger(f"{self.twin}/reset", timeout_s=_PATIENCE_S)
        if call.state(self.policy, timeout_s=_PATIENCE_S) == "inactive":
            call.transition(self.policy, "activate", timeout_s=_PATIENCE_S)
        call.trigger(f"{self.policy}/reset", timeout_s=_PATIENCE_S)
        start_s = time.monotonic()
        self.wait(lambda: sum(c.moves for c in self.since(start_s)) >= 5, what="motion")

    def since(self, start_s: float) -> list[Command]:
        """Commands that came after `start_s`, monotonic [s]."""
        return [command for command in self.heard.commands if command.at_s > start_s]

    def wait(
        self, condition: Callable[[], object], *, what: str, timeout_s: float = _PATIENCE_S
    ) -> None:
        """Waits while messages are served.

        Raises:
            NodeCallError: If it takes too long.
        """
        end_s = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > end_s:
                raise NodeCallError(f"not within {timeout_s:g} s", where=what)
            time.sleep(0.005)

    def forget(self) -> None:
        """Forgets what was heard."""
        self.heard.commands.clear()
        self.heard.statuses.clear()

    def _start_policy(self) -> None:
        parameters: dict[str, str | bool | int | float] = {
            **self._source,
            "robot": ROBOT,
            "pace": "clock",
            "schedule": "async",
            "execute_steps": _EXECUTE_STEPS,
            "max_age_s": MAX_AGE_S,
            "plan_deadline_s": PLAN_DEADLINE_S,
            "fault_after_s": FAULT_AFTER_S,
            "black_box_folder": str(self._reports),
        }
        command = composition.node_command(sys.executable, POLICY_NODE, parameters=parameters)
        for topic in input_topics(self.robot):
            command += ["--remap", f"{topic}:={_RELAYED}/{topic}"]
        self._policy_process.start(POLICY_NODE, command, environment=_environment())

    def _serve(self) -> None:
        executor = SingleThreadedExecutor()
        executor.add_node(self.relay)
        while not self._stopping.is_set():
            executor.spin_once(timeout_sec=0.1)
        executor.shutdown()
        self.relay.destroy_node()


def _environment() -> dict[str, str]:
    return {**os.environ, EXIT_WITH_PARENT: str(os.getpid()), "OMP_NUM_THREADS": "1"}
