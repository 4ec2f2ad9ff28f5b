"""A page in a browser: keys, mouse, touch, gamepad and a phone's orientation, over a websocket."""

import math
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np

from robot_policy.core.errors import SpecError
from robot_policy.teleop.controls import Command, Controls, Vector
from robot_policy.teleop.device import DeviceSettings

_MOST_SHIFT = 0.5
"""Largest displacement in one message, [m] and [rad]; more is a fault."""


class Browser:
    """Holds what the page said last. `put` is called by the server, `read` by the control loop.

    Args:
        woken: Called when something came.
    """

    controls_help: ClassVar[tuple[tuple[str, str], ...]] = (
        ("W A S D", "forward, left, back, right"),
        ("Q E", "up, down"),
        ("U O, I K, J L", "roll, pitch, yaw"),
        ("space", "gripper"),
        ("left pad, right pad", "touch or mouse: move, lift and turn"),
        ("gamepad", "LB held, sticks; A gripper"),
        ("tilt", "a phone's orientation, while its button is held"),
        ("Esc", "emergency stop"),
    )

    def __init__(self, *, woken: Callable[[], None] = lambda: None) -> None:
        self._woken = woken
        self._lock = threading.Lock()
        self._last: Controls | None = None
        self._shift: Vector = np.zeros(6)
        self._gripper: float | None = None
        self._commands: list[Command] = []

    @classmethod
    def open(cls, settings: DeviceSettings) -> "Browser":
        """Is always there; what comes through the page is handed in by the server."""
        return cls(woken=settings.woken)

    def put(self, message: Mapping[str, Any], *, stamp_ns: int | None = None) -> None:
        """Takes what the page says.

        Args:
            message: ``active``, ``velocity`` (6), ``shift`` (6), ``gripper``; each may be missing.
            stamp_ns: Of its arrival, on the monotonic clock [ns]; now if None.

        Raises:
            SpecError: If it is not what it must be. What was said before holds.
        """
        velocity = _vector(message.get("velocity"), "velocity", most=1.0)
        shift = _vector(message.get("shift"), "shift", most=_MOST_SHIFT)
        gripper = message.get("gripper")
        if gripper is not None:
            gripper = _number(gripper, "gripper", most=1.0)
        with self._lock:
            self._shift = self._shift + shift
            self._gripper = self._gripper if gripper is None else gripper
            self._last = Controls(
                stamp_ns=time.monotonic_ns() if stamp_ns is None else stamp_ns,
                active=message.get("active") is True,
                velocity=velocity,
            )
        self._woken()

    def press(self, command: Command) -> None:
        """Takes a button."""
        with self._lock:
            self._commands.append(command)
        self._woken()

    def let_go(self) -> None:
        """The page is gone, or its dead-man: nothing it said counts any more."""
        with self._lock:
            self._last = None
            self._shift = np.zeros(6)
            self._gripper = None
        self._woken()

    def read(self, now_ns: int) -> Controls | None:
        """See `Device.read`."""
        with self._lock:
            last, shift, gripper = self._last, self._shift, self._gripper
            commands, self._commands = tuple(self._commands), []
            self._shift, self._gripper = np.zeros(6), None
        if last is None:
            return Controls(stamp_ns=now_ns, commands=commands) if commands else None
        return Controls(
            stamp_ns=last.stamp_ns,
            active=last.active or gripper is not None,
            velocity=last.velocity,
            shift=shift,
            gripper=gripper,
            commands=commands,
        )

    def close(self) -> None:
        """See `Device.close`."""


def _vector(value: Any, name: str, *, most: float) -> Vector:
    if value is None:
        return np.zeros(6)
    if not isinstance(value, list) or len(value) != 6:
        raise SpecError("not six numbers", where=name, got=str(value)[:80])
    return np.array([_number(x, name, most=most) for x in value])


def _number(value: Any, name: str, *, most: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise SpecError("not a number", where=name, got=str(value)[:80])
    if abs(value) > most + 1e-9:
        raise SpecError("out of range", where=name, expected=f"-{most:g} .. {most:g}", got=value)
    return float(value)
