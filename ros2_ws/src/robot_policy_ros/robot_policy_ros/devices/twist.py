"""Velocities on a topic: whatever publishes geometry_msgs/TwistStamped."""

import threading
import time
from typing import Any, ClassVar

import numpy as np
from geometry_msgs.msg import TwistStamped

from robot_policy.core.errors import RobotPolicyError
from robot_policy.teleop.controls import Controls
from robot_policy.teleop.device import DeviceSettings
from robot_policy_ros import conversions as convert
from robot_policy_ros.qos import COMMAND

_TOPIC = "teleop/twist"


class TwistDevice:
    """Moves while messages come that are not zero; a message counts until the next one.

    Args:
        settings: Gives robot and topic.
        node: Owns the subscription.
    """

    controls_help: ClassVar[tuple[tuple[str, str], ...]] = (
        ("linear [m/s], angular [rad/s]", "in the robot's base frame"),
        ("zero, or silence", "the arm holds"),
    )

    def __init__(self, settings: DeviceSettings, node: Any) -> None:
        self._robot = settings.robot
        self._woken = settings.woken
        self._node = node
        self._lock = threading.Lock()
        self._last: Controls | None = None
        self._subscription = node.create_subscription(
            TwistStamped, settings.path or _TOPIC, self._take, COMMAND
        )

    @classmethod
    def open(cls, settings: DeviceSettings, node: Any) -> "TwistDevice":
        """Subscribes; nothing needs to publish yet."""
        return cls(settings, node)

    def read(self, now_ns: int) -> Controls | None:
        """See `Device.read`."""
        del now_ns
        with self._lock:
            return self._last

    def close(self) -> None:
        """See `Device.close`."""
        self._node.destroy_subscription(self._subscription)

    def _take(self, message: TwistStamped) -> None:
        robot = self._robot
        try:
            twist = convert.delta_from_twist(message, dt_s=1.0, frame=robot.base_frame)
        except RobotPolicyError as error:
            self._node.get_logger().error(str(error), throttle_duration_sec=5.0)
            twist = np.zeros(6)
        controls = Controls(time.monotonic_ns(), active=bool(twist.any()), twist=twist)
        with self._lock:
            self._last = controls
        self._woken()
