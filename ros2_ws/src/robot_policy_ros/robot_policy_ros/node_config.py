"""Parameters of the nodes, as typed settings."""

import os
from dataclasses import dataclass
from typing import Any, Self

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.node import Node

from robot_policy.core.errors import ConfigError

_INT_MAX = 2**31 - 1


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
    robot: str
    device: str
    rate_hz: float
    execute_steps: int
    num_samples: int
    seed: int
    max_age_s: float
    instruction: str
    torch_threads: int

    SETTINGS = (
        Setting("checkpoint", "", "training run, checkpoint or policy folder; required"),
        Setting("robot", "", "robot description, name or YAML file; empty: the checkpoint's"),
        Setting("device", "cpu", "where the policy runs: cpu, cuda or auto"),
        Setting("rate_hz", 0.0, "control rate [Hz]; 0: the robot description's", 0.0, 1000.0),
        Setting("execute_steps", 8, "actions of a chunk executed before planning again", 1),
        Setting("num_samples", 1, "candidates drawn per plan", 1),
        Setting("seed", 0, "seed of the next episode"),
        Setting("max_age_s", 0.3, "oldest input that may be acted upon [s]", 0.01, 10.0),
        Setting("instruction", "", "task text, for policies that read one"),
        Setting("torch_threads", 0, "threads of torch; 0: all cores but one"),
    )

    @classmethod
    def from_parameters(cls, node: Node) -> Self:
        """Reads the declared parameters of `node`.

        Raises:
            ConfigError: If no checkpoint is given.
        """
        config = cls(**_values(node, cls.SETTINGS))
        if not config.checkpoint:
            raise ConfigError("no checkpoint given", where="parameter checkpoint")
        return config

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
