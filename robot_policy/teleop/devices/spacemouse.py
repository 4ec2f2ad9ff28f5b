"""A SpaceMouse: six axes under one hand, as the kernel reports them."""

from typing import Any, ClassVar

import numpy as np

from robot_policy.teleop.controls import Command, Controls
from robot_policy.teleop.device import DeviceSettings
from robot_policy.teleop.devices.kernel_input import KernelInput, open_input
from robot_policy.teleop.devices.pad import shaped

# Codes of <linux/input-event-codes.h>; older kernels report relative axes, newer ones absolute.
_KEY, _REL, _ABS = 1, 2, 3
_LEFT, _RIGHT = 0x100, 0x101
_FULL = 350.0
"""Deflection at the stop, of all models."""
_QUIET_NS = 100_000_000
"""Without news for so long a relative axis is back in the middle: the cap reports as it moves."""


class SpaceMouse:
    """The cap moves the end effector; letting go of it stops the arm.

    Args:
        source: What reads it.
    """

    controls_help: ClassVar[tuple[tuple[str, str], ...]] = (
        ("push, pull, lift the cap", "move"),
        ("tilt, twist the cap", "turn"),
        ("left button", "gripper"),
        ("right button", "start an episode; while one is under way: success"),
    )

    def __init__(self, source: KernelInput) -> None:
        self._source = source
        self._absolute = bool(source.ranges(_ABS))
        self._down: frozenset[int] = frozenset()
        self._closed = False
        self._recording = False

    @classmethod
    def open(cls, settings: DeviceSettings) -> "SpaceMouse":
        """Opens the first SpaceMouse.

        Raises:
            DeviceError: If there is none, or it may not be read.
        """
        return cls(open_input(settings, name="SpaceMouse", matches=_is_spacemouse))

    def read(self, now_ns: int) -> Controls | None:
        """See `Device.read`."""
        self._source.check()
        values = dict(self._source.values)
        kind = _ABS if self._absolute else _REL
        right, near, down, pitch, roll, yaw = (
            shaped(values.get((kind, code), 0) / _FULL) for code in range(6)
        )
        velocity = np.array([-near, -right, -down, -roll, -pitch, -yaw])
        if not self._absolute and now_ns - self._source.stamp_ns > _QUIET_NS:
            velocity = np.zeros(6)
        buttons = frozenset(code for code in (_LEFT, _RIGHT) if values.get((_KEY, code)))
        pressed, self._down = buttons - self._down, buttons
        gripper = None
        if _LEFT in pressed:
            self._closed = not self._closed
            gripper = float(self._closed)
        commands: tuple[Command, ...] = ()
        if _RIGHT in pressed:
            commands = (Command.SUCCESS if self._recording else Command.START,)
            self._recording = not self._recording
        return Controls(
            stamp_ns=now_ns,
            active=bool(velocity.any()) or gripper is not None,
            velocity=velocity,
            gripper=gripper,
            commands=commands,
        )

    def close(self) -> None:
        """See `Device.close`."""
        self._source.close()


def _is_spacemouse(name: str, capabilities: dict[int, Any]) -> bool:
    del capabilities
    return "space" in name.lower() and ("3dconnexion" in name.lower() or "mouse" in name.lower())
