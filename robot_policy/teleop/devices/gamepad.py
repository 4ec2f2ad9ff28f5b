"""A gamepad, as the kernel reports it."""

from typing import Any, ClassVar

from robot_policy.teleop.controls import Controls
from robot_policy.teleop.device import DeviceSettings
from robot_policy.teleop.devices.kernel_input import KernelInput, open_input
from robot_policy.teleop.devices.pad import PAD_HELP, Pad, PadControls

# Codes of <linux/input-event-codes.h>.
_KEY, _ABS = 1, 3
_BUTTONS = {
    **{0x130: "a", 0x131: "b", 0x133: "x", 0x134: "y", 0x136: "lb", 0x137: "rb"},
    **{0x13A: "select", 0x13B: "start"},
}
_AXES = {
    **{0x00: ("left_x", 1.0), 0x01: ("left_y", -1.0), 0x03: ("right_x", 1.0)},
    **{0x04: ("right_y", -1.0), 0x10: ("cross_x", 1.0), 0x11: ("cross_y", -1.0)},
}


class Gamepad:
    """Moves while the left shoulder button is held.

    Args:
        source: What reads it.
    """

    controls_help: ClassVar[tuple[tuple[str, str], ...]] = PAD_HELP

    def __init__(self, source: KernelInput) -> None:
        self._source = source
        self._ranges = source.ranges(_ABS)
        self._controls = PadControls()

    @classmethod
    def open(cls, settings: DeviceSettings) -> "Gamepad":
        """Opens the first gamepad.

        Raises:
            DeviceError: If there is none, or it may not be read.
        """
        return cls(open_input(settings, name="gamepad", matches=_is_gamepad))

    def read(self, now_ns: int) -> Controls | None:
        """See `Device.read`; a stick that is held still says nothing, so what it said counts."""
        self._source.check()
        values = dict(self._source.values)
        axes = {
            name: sign * self._part(code, values.get((_ABS, code)))
            for code, (name, sign) in _AXES.items()
        }
        down = frozenset(name for code, name in _BUTTONS.items() if values.get((_KEY, code)))
        return self._controls.controls(Pad(axes, down), stamp_ns=now_ns)

    def close(self) -> None:
        """See `Device.close`."""
        self._source.close()

    def _part(self, code: int, value: int | None) -> float:
        if value is None or code not in self._ranges:
            return 0.0
        low, high = self._ranges[code]
        return 2.0 * (value - low) / (high - low) - 1.0 if high > low else 0.0


def _is_gamepad(name: str, capabilities: dict[int, Any]) -> bool:
    del name
    return 0x130 in capabilities.get(_KEY, []) and _ABS in capabilities
