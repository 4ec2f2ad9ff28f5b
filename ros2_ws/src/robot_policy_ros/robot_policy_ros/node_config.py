"""Parameters of the nodes, as typed settings."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.node import Node

from robot_policy.core.errors import ConfigError, UnknownNameError
from robot_policy.core.robot import RobotDescription
from robot_policy.runtime.agent_config import AgentConfig
from robot_policy.runtime.guidance.config import SteeringConfig
from robot_policy.runtime.guidance.registry import STRATEGIES
from robot_policy.runtime.watchdog import WatchdogLimits
from robot_policy_ros.pacing import Pace

_INT_MAX = 2**31 - 1
_MOST_URGENT = 99
_SLOW_PLANS = 5
STEERING = frozenset({"candidates", "strategy", "caution", "temperature"})
"""Parameters of the policy node that may change while it runs."""


@dataclass(frozen=True, slots=True)
class Setting:
    """Declaration of one parameter; its type is that of `default`.

    Attributes:
        name: Of the parameter, and of the field it becomes.
        default: Value where none is given.
        description: What ``ros2 param describe`` shows.
        low: Smallest value of a number.
        high: Largest value of a number.
    """

    name: str
    default: str | bool | int | float
    description: str
    low: float = 0
    high: float = _INT_MAX


def declare(node: Node, settings: tuple[Setting, ...]) -> None:
    """Declares parameters with types, ranges and descriptions.

    Raises:
        ConfigError: If a value given at the start has another type or is out of range.
    """
    for setting in settings:
        try:
            node.declare_parameter(setting.name, setting.default, _descriptor(setting))
        except Exception as error:  # rclpy has no common class for them
            raise ConfigError(
                "a wrong value", where=f"parameter {setting.name}", got=error
            ) from error


def _descriptor(setting: Setting) -> ParameterDescriptor:
    descriptor = ParameterDescriptor(description=setting.description)
    if isinstance(setting.default, bool | str):
        return descriptor
    if isinstance(setting.default, int):
        descriptor.integer_range = [
            IntegerRange(from_value=int(setting.low), to_value=int(setting.high), step=0)
        ]
    else:
        descriptor.floating_point_range = [
            FloatingPointRange(from_value=setting.low, to_value=setting.high, step=0.0)
        ]
    return descriptor


def _values(node: Node, settings: tuple[Setting, ...]) -> dict[str, Any]:
    return {s.name: node.get_parameter(s.name).value for s in settings}


@dataclass(frozen=True, slots=True)
class PolicyNodeConfig:
    """Settings of the policy node; the descriptions are those of the parameters."""

    checkpoint: str
    server: str
    server_token_file: str
    server_ca: str
    server_deadline_s: float
    robot: str
    device: str
    rate_hz: float
    execute_steps: int
    num_samples: int
    schedule: str
    pace: str
    priority: int
    seed: int
    max_age_s: float
    max_ages: str
    image_transport: str
    plan_deadline_s: float
    fault_after_s: float
    black_box_folder: str
    instruction: str
    instruction_topic: str
    goal_image_topic: str
    torch_threads: int
    feasible: str
    critic: str
    support: str
    candidates: int
    strategy: str
    caution: float
    temperature: float
    verify_past: bool

    SETTINGS = (
        Setting("checkpoint", "", "training run, checkpoint or policy folder"),
        Setting(
            "server", "", "in place of a checkpoint: ws://host:port of robot-policy serve-policy"
        ),
        Setting(
            "server_token_file", "", "empty: $ROBOT_POLICY_TOKEN, ~/.config/robot-policy/token"
        ),
        Setting("server_ca", "", "certificate that signed the server's; empty: the system's"),
        Setting(
            "server_deadline_s", 1.0, "longest wait for an answer of the server [s]", 0.01, 60.0
        ),
        Setting("robot", "", "robot description, name or YAML file; empty: the checkpoint's"),
        Setting("device", "cpu", "where the policy runs: cpu, cuda or auto"),
        Setting("rate_hz", 0.0, "control rate [Hz]; 0: the robot description's", 0.0, 1000.0),
        Setting(
            "execute_steps",
            0,
            "actions of a chunk executed before planning again; 0: 8, or the horizon if shorter",
        ),
        Setting("num_samples", 1, "candidates drawn per plan", 1),
        Setting("schedule", "receding", "receding, async, ensemble, rtc or naive"),
        Setting("pace", "", "clock or observations; empty: the robot description's"),
        Setting(
            "priority", 10, "real-time priority of the control thread; 0: none", high=_MOST_URGENT
        ),
        Setting("seed", 0, "seed of the next episode"),
        Setting("max_age_s", 0.3, "oldest input that may be acted upon [s]", 0.01, 10.0),
        Setting("max_ages", "", "inputs with a limit of their own, as wrist=0.1,ee_pose=0.05 [s]"),
        Setting("image_transport", "raw", "how camera images travel: raw or compressed"),
        Setting(
            "plan_deadline_s",
            0.0,
            "longest time that a plan may take [s]; 0: five plans of the warm-up, at least 1 s",
            0.0,
            600.0,
        ),
        Setting("fault_after_s", 1.0, "time to hold before a problem is a fault [s]", 0.01, 600.0),
        Setting("black_box_folder", "", "where fault reports go; empty: robot_policy in ROS_HOME"),
        Setting("instruction", "", "task text, for policies that read one"),
        Setting("instruction_topic", "", "std_msgs/String with the task text; empty: none"),
        Setting("goal_image_topic", "", "image of what is wanted, for policies that take one"),
        Setting("torch_threads", 0, "threads of torch; 0: all cores but one"),
        Setting("feasible", "", "demonstrated states, far from which it stops; empty: not checked"),
        Setting("critic", "", "critics that steer the policy, separated by commas; empty: none"),
        Setting("support", "", "support critic, without which every candidate may be taken"),
        Setting("candidates", SteeringConfig.candidates, "candidates that the critic judges", 1),
        Setting("strategy", SteeringConfig.strategy, "how it chooses among the candidates"),
        Setting(
            "caution",
            SteeringConfig.caution,
            "standard deviations over the critic's heads that a gain must exceed",
            0.0,
            100.0,
        ),
        Setting("temperature", SteeringConfig.temperature, "of the soft strategies", 0.0, 1000.0),
        Setting("verify_past", False, "judge candidates by what they say of the executed actions"),
    )

    @classmethod
    def from_parameters(cls, node: Node) -> Self:
        """Reads the declared parameters of `node`.

        Raises:
            ConfigError: If neither checkpoint nor server is given, or both.
        """
        config = cls(**_values(node, cls.SETTINGS))
        if not config.source:
            raise ConfigError("no checkpoint given, and no server", where="parameter checkpoint")
        if config.checkpoint and config.server:
            raise ConfigError("give one of both", where="parameters checkpoint, server")
        return config

    def watchdog_limits(self, *, plan_ns: int, real_time: bool) -> WatchdogLimits:
        """What the watchdog puts up with, where a plan of the warm-up took `plan_ns` [ns]."""
        return WatchdogLimits(
            plan_deadline_s=self.plan_deadline_s or max(1.0, _SLOW_PLANS * plan_ns * 1e-9),
            fault_after_s=self.fault_after_s,
            real_time=real_time,
        )

    @property
    def fault_reports(self) -> Path:
        """Folder for fault reports."""
        if self.black_box_folder:
            return Path(self.black_box_folder)
        home = os.environ.get("ROS_HOME")
        return (Path(home) if home else Path.home() / ".ros") / "robot_policy"

    @property
    def source(self) -> str:
        """Where the policy comes from, for a person to read."""
        return self.checkpoint or self.server

    @property
    def critics(self) -> tuple[Path, ...]:
        """Critics that steer the policy."""
        return tuple(Path(name.strip()) for name in self.critic.split(",") if name.strip())

    @property
    def steers(self) -> bool:
        """Whether anything judges the candidates."""
        return bool(self.critics) or self.verify_past

    @property
    def steering(self) -> SteeringConfig:
        """How candidates are chosen.

        Raises:
            ConfigError: If a value is out of range.
        """
        return SteeringConfig(
            candidates=self.candidates,
            strategy=self.strategy,
            caution=self.caution,
            temperature=self.temperature,
            verify_past=self.verify_past,
        )

    @staticmethod
    def steering_after(node: Node, changes: Mapping[str, Any]) -> SteeringConfig:
        """Returns how candidates are chosen once some parameters of `node` have changed.

        Raises:
            ConfigError: If a value is out of range.
            UnknownNameError: If there is no such strategy.
        """
        kept = (*STEERING, "verify_past")
        values: dict[str, Any] = {name: node.get_parameter(name).value for name in kept}
        values |= {name: value for name, value in changes.items() if name in STEERING}
        config = SteeringConfig(**values)
        if config.strategy not in STRATEGIES:
            raise UnknownNameError.of(
                "strategy", config.strategy, STRATEGIES, where="parameter strategy"
            )
        return config

    @property
    def agent(self) -> AgentConfig:
        """How the policy is used."""
        return AgentConfig(
            execute_steps=self.execute_steps or None,
            num_samples=self.num_samples,
            schedule=self.schedule,
        )

    def pace_for(self, robot: RobotDescription) -> Pace:
        """What a control step waits for: the parameter, else what suits `robot`.

        Raises:
            UnknownNameError: If the parameter is neither of the two.
        """
        default = Pace.OBSERVATIONS if robot.simulated else Pace.CLOCK
        name = self.pace or default
        if name not in list(Pace):
            raise UnknownNameError.of("pace", name, Pace, where="parameter pace")
        return Pace(name)

    @property
    def threads(self) -> int:
        """Threads that torch may use; the rest is left to messages and drivers."""
        return self.torch_threads or max(1, len(os.sched_getaffinity(0)) - 1)


@dataclass(frozen=True, slots=True)
class TwinNodeConfig:
    """Settings of the twin node; the descriptions are those of the parameters."""

    task: str
    robot: str
    cameras: str
    image_height: int
    image_width: int
    seed: int
    rate_hz: float
    max_episode_steps: int
    command_periods: int
    board: str
    board_holder: str
    endless: bool

    SETTINGS = (
        Setting("task", "lift", "task of the twin"),
        Setting("robot", "panda_twin", "robot description, name or YAML file"),
        Setting("cameras", "", "names of the cameras to render, separated by commas"),
        Setting("image_height", 0, "image height [px]; 0: the robot description's"),
        Setting("image_width", 0, "image width [px]; 0: the robot description's"),
        Setting("seed", 0, "seed of the next episode"),
        Setting("rate_hz", 0.0, "steps per second; 0: the robot description's", 0.0, 1000.0),
        Setting("max_episode_steps", 0, "steps until an episode ends; 0: the task's limit"),
        Setting("command_periods", 1, "control periods that a command is executed for", 1, 100),
        Setting("board", "", "calibration board (YAML) in the scene, without a task; empty: none"),
        Setting("board_holder", "table", "what the board is fixed to: table or gripper"),
        Setting("endless", False, "whether a person ends episodes, and not the task"),
    )

    @classmethod
    def from_parameters(cls, node: Node) -> Self:
        """Reads the declared parameters of `node`.

        Raises:
            ConfigError: If only one side of the image is given.
        """
        config = cls(**_values(node, cls.SETTINGS))
        if bool(config.image_height) != bool(config.image_width):
            raise ConfigError("give both or neither", where="image_height, image_width")
        return config

    @property
    def camera_names(self) -> tuple[str, ...]:
        """Cameras to render."""
        return tuple(name.strip() for name in self.cameras.split(",") if name.strip())

    @property
    def image_size(self) -> tuple[int, int] | None:
        """(height, width) [px], None for the description's."""
        return (self.image_height, self.image_width) if self.image_height else None
