"""A gamepad behind ROS: sensor_msgs/Joy, in the order in which joy_node has an Xbox pad."""

import threading
import time
from typing import Any, ClassVar

from sensor_msgs.msg import Joy

from robot_policy.teleop.controls import Controls
from robot_policy.teleop.device import DeviceSettings
from robot_policy.teleop.devices.pad import PAD_HELP, Pad, PadControls
from robot_policy_ros.qos import COMMAND

_TOPIC = "joy"
# joy_node has left and up positive.
_AXES = {
    **{0: ("left_x", -1.0), 1: ("left_y", 1.0), 3: ("right_x", -1.0), 4: ("right_y", 1.0)},
    **{6: ("cross_x", -1.0), 7: ("cross_y", 1.0)},
}
_BUTTONS = dict(enumerate(("a", "b", "x", "y", "lb", "rb", "select", "start")))


class JoyDevice:
    """Moves while the left shoulder button is held.

    Args:
        settings: Gives the topic.
        node: Owns the subscription.
    """

    controls_help: ClassVar[tuple[tuple[str, str], ...]] = PAD_HELP

    def __init__(self, settings: DeviceSettings, node: Any) -> None:
        self._woken = settings.woken
        self._node = node
        self._lock = threading.Lock()
        self._last: tuple[Pad, int] | None = None
        self._controls = PadControls()
        self._subscription = node.create_subscription(
            Joy, settings.path or _TOPIC, self._take, COMMAND
        )

    @classmethod
    def open(cls, settings: DeviceSettings, node: Any) -> "JoyDevice":
        """Subscribes; nothing needs to publish yet."""
        return cls(settings, node)

    def read(self, now_ns: int) -> Controls | None:
        """See `Device.read`."""
        del now_ns
        with self._lock:
            last = self._last
        return None if last is None else self._controls.controls(last[0], stamp_ns=last[1])

    def close(self) -> None:
        """See `Device.close`."""
        self._node.destroy_subscription(self._subscription)

    def _take(self, message: Joy) -> None:
        axes = {
            name: sign * float(message.axes[index])
            for index, (name, sign) in _AXES.items()
            if index < len(message.axes)
        }
        down = frozenset(
            name
            for index, name in _BUTTONS.items()
            if index < len(message.buttons) and message.buttons[index]
        )
        with self._lock:
            self._last = Pad(axes, down), time.monotonic_ns()
        self._woken()
