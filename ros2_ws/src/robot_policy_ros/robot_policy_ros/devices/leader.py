"""A leader arm by its joint states: one like GELLO or the SO-101, or a second arm of the kind."""

import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import yaml
from sensor_msgs.msg import JointState

from robot_policy.core.errors import ConfigError, RobotPolicyError
from robot_policy.core.robot import RobotDescription
from robot_policy.teleop.controls import Controls
from robot_policy.teleop.device import DeviceSettings
from robot_policy_ros import conversions as convert
from robot_policy_ros.qos import SENSOR

_TOPIC = "leader/joint_states"
_NEAR_RAD = 0.002


@dataclass(frozen=True, slots=True)
class Leader:
    """How a leader's joints are the follower's.

    Attributes:
        topic: sensor_msgs/JointState.
        joints: The leader's names, in the follower's order.
        signs: 1 or -1 per joint.
        radians: Radians per unit of the message; pi / 180 for degrees.
        gripper: Name of the handle; empty where there is none.
        gripper_open: Its position when open.
        gripper_closed: When closed.
        dead_man: Name of a joint or switch that must be above one half; empty takes any motion of
            the leader as a hand on it.
    """

    topic: str
    joints: tuple[str, ...]
    signs: tuple[float, ...]
    radians: float = 1.0
    gripper: str = ""
    gripper_open: float = 0.0
    gripper_closed: float = 1.0
    dead_man: str = ""

    @classmethod
    def of(cls, robot: RobotDescription, path: str) -> "Leader":
        """Reads a YAML file; without one, a topic of the follower's own joint names.

        Raises:
            ConfigError: If the file is none, or does not fit the robot.
        """
        count = len(robot.joint_names)
        if not path.endswith((".yaml", ".yml")):
            return cls(path or _TOPIC, robot.joint_names, (1.0,) * count)
        try:
            data = yaml.safe_load(Path(path).read_text())
            data["joints"] = tuple(data["joints"])
            data["signs"] = tuple(map(float, data.get("signs", (1.0,) * count)))
            leader = cls(**{"topic": _TOPIC, **data})
        except (OSError, yaml.YAMLError, TypeError, KeyError, ValueError) as error:
            raise ConfigError(
                "no description of a leader arm",
                where=path,
                got=error,
                expected="topic, joints, signs, radians, gripper, gripper_open, gripper_closed",
            ) from error
        for name in ("joints", "signs"):
            if len(getattr(leader, name)) != count:
                raise ConfigError(
                    f"one of {name} per joint of {robot.name}",
                    where=path,
                    expected=count,
                    got=len(getattr(leader, name)),
                )
        return leader


class LeaderArm:
    """The follower moves as the leader does, from wherever both are when it is taken.

    Args:
        leader: How its joints are the follower's.
        settings: Of the device.
        node: Owns the subscription.
    """

    controls_help: ClassVar[tuple[tuple[str, str], ...]] = (
        ("move the leader", "the arm moves likewise"),
        ("let it rest", "the arm holds"),
        ("its handle", "gripper"),
    )
    _RESTS_NS = 300_000_000

    def __init__(self, leader: Leader, settings: DeviceSettings, node: Any) -> None:
        self._leader = leader
        self._woken = settings.woken
        self._node = node
        self._lock = threading.Lock()
        self._last: Controls | None = None
        self._moved_ns = -self._RESTS_NS
        self._joints: Any = None
        self._subscription = node.create_subscription(JointState, leader.topic, self._take, SENSOR)

    @classmethod
    def open(cls, settings: DeviceSettings, node: Any) -> "LeaderArm":
        """Subscribes.

        Raises:
            ConfigError: If the leader's description is wrong.
        """
        return cls(Leader.of(settings.robot, settings.path), settings, node)

    def read(self, now_ns: int) -> Controls | None:
        """See `Device.read`."""
        del now_ns
        with self._lock:
            return self._last

    def close(self) -> None:
        """See `Device.close`."""
        self._node.destroy_subscription(self._subscription)

    def _take(self, message: JointState) -> None:
        leader, now_ns = self._leader, time.monotonic_ns()
        extra = [name for name in (leader.gripper, leader.dead_man) if name]
        try:
            values = convert.positions_by_name(message, (*leader.joints, *extra))
        except RobotPolicyError as error:
            self._node.get_logger().error(str(error), throttle_duration_sec=5.0)
            return
        count = len(leader.joints)
        joints = values[:count] * np.array(leader.signs) * leader.radians
        if self._joints is None or np.abs(joints - self._joints).max() > _NEAR_RAD:
            self._moved_ns = now_ns if self._joints is not None else self._moved_ns
            self._joints = joints
        gripper = None
        if leader.gripper:
            span = leader.gripper_closed - leader.gripper_open
            gripper = float(np.clip((values[count] - leader.gripper_open) / span, 0.0, 1.0))
        active = now_ns - self._moved_ns < self._RESTS_NS
        if leader.dead_man:
            active = bool(values[-1] > 0.5)
        with self._lock:
            self._last = Controls(now_ns, active=active, joints=joints, gripper=gripper)
        self._woken()
