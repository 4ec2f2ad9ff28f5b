"""Parameters of the recorder node."""

from dataclasses import dataclass
from typing import Any, Self

from rclpy.node import Node

from robot_policy.core.errors import ConfigError, UnknownNameError
from robot_policy.core.robot import RobotDescription
from robot_policy_ros.node_config import Setting


@dataclass(frozen=True, slots=True)
class RecorderNodeConfig:
    """Settings of the recorder node; the descriptions are those of the parameters."""

    output: str
    robot: str
    cameras: str
    instruction: str
    instruction_topic: str
    bags: str
    max_age_s: float
    max_ages: str
    image_transport: str

    SETTINGS = (
        Setting("output", "", "dataset (LeRobot v3.0); one that is there is appended to; required"),
        Setting("robot", "", "robot description, name or YAML file; required"),
        Setting("cameras", "", "cameras to record, separated by commas; empty: all; none: none"),
        Setting("instruction", "", "task text; may be changed between episodes"),
        Setting("instruction_topic", "", "std_msgs/String with the task text; empty: none"),
        Setting("bags", "", "folder for a rosbag2 (MCAP) of every episode; empty: none"),
        Setting("max_age_s", 0.3, "oldest input that is recorded [s]", 0.01, 10.0),
        Setting("max_ages", "", "inputs with a limit of their own, as wrist=0.1,ee_pose=0.05 [s]"),
        Setting("image_transport", "raw", "how camera images travel: raw or compressed"),
    )

    @classmethod
    def from_parameters(cls, node: Node) -> Self:
        """Reads the declared parameters of `node`.

        Raises:
            ConfigError: If there is no output or no robot.
        """
        values: dict[str, Any] = {s.name: node.get_parameter(s.name).value for s in cls.SETTINGS}
        config = cls(**values)
        for name in ("output", "robot"):
            if not getattr(config, name):
                raise ConfigError("missing", where=f"parameter {name}")
        return config

    def camera_names(self, robot: RobotDescription) -> tuple[str, ...]:
        """Returns the cameras to record.

        Raises:
            UnknownNameError: If the robot has no such camera.
        """
        if not self.cameras:
            return tuple(robot.cameras)
        names = tuple(name.strip() for name in self.cameras.split(",") if name.strip())
        if names == ("none",):
            return ()
        for name in names:
            if name not in robot.cameras:
                raise UnknownNameError.of("camera", name, robot.cameras, where="parameter cameras")
        return names
