"""The keyboard of a terminal, over ssh too: no X server, no permissions."""

from collections.abc import Callable
from contextlib import ExitStack
from typing import ClassVar

import numpy as np

from robot_policy.teleop.controls import Command, Controls
from robot_policy.teleop.device import DeviceSettings
from robot_policy.teleop.terminal import pressed_keys

_TAP_NS = 150_000_000
"""How long a key counts as held: a terminal tells when keys repeat, not when they are let go."""

_MOTIONS: dict[str, tuple[int, float]] = {
    **{"w": (0, 1.0), "s": (0, -1.0), "a": (1, 1.0), "d": (1, -1.0), "q": (2, 1.0), "e": (2, -1.0)},
    **{"u": (3, 1.0), "o": (3, -1.0), "i": (4, 1.0), "k": (4, -1.0), "j": (5, 1.0), "l": (5, -1.0)},
    **{"\x1b[A": (0, 1.0), "\x1b[B": (0, -1.0), "\x1b[D": (1, 1.0), "\x1b[C": (1, -1.0)},
    **{"\x1b[5~": (2, 1.0), "\x1b[6~": (2, -1.0)},
}
COMMANDS: dict[str, Command] = {
    "\n": Command.START,
    "\r": Command.START,
    "y": Command.SUCCESS,
    "n": Command.FAILURE,
    "t": Command.STOP,
    "x": Command.DISCARD,
    "z": Command.UNDO,
    "0": Command.RESET,
    "p": Command.RUN_POLICY,
    "P": Command.STOP_POLICY,
    "\x1b": Command.EMERGENCY_STOP,
    "r": Command.RELEASE,
}
"""Keys of a terminal that are buttons, whatever device drives."""
_GRIPPER = " "


class Keyboard:
    """Keys move the arm as long as they repeat; a tap is a small step.

    Args:
        keys: Returns what was pressed since it was last called.
        close: Gives the terminal back.
    """

    controls_help: ClassVar[tuple[tuple[str, str], ...]] = (
        ("w s / arrows", "forward, back"),
        ("a d / arrows", "left, right"),
        ("q e", "up, down"),
        ("u o, i k, j l", "roll, pitch, yaw"),
        ("space", "gripper"),
        ("enter", "start an episode"),
        ("y n t x", "success, failure, stop, discard"),
        ("z", "undo the last episode"),
        ("0", "reset the scene"),
        ("p P", "run, stop the policy"),
        ("Esc, r", "emergency stop, release"),
    )

    def __init__(
        self, keys: Callable[[], str], *, close: Callable[[], None] = lambda: None
    ) -> None:
        self._keys = keys
        self._close = close
        self._until_ns: dict[str, int] = {}
        self._closed = False

    @classmethod
    def open(cls, settings: DeviceSettings) -> "Keyboard":
        """Takes the terminal; what is no terminal is read all the same."""
        del settings
        stack = ExitStack()
        keys = stack.enter_context(pressed_keys())
        return cls(keys, close=stack.close)

    def read(self, now_ns: int) -> Controls | None:
        """See `Device.read`."""
        commands: list[Command] = []
        gripper = None
        for key in split_keys(self._keys()):
            if key == _GRIPPER:
                self._closed = not self._closed
                gripper = float(self._closed)
            elif key.lower() in _MOTIONS and key not in COMMANDS:
                self._until_ns[key.lower()] = now_ns + _TAP_NS
            elif key in _MOTIONS:
                self._until_ns[key] = now_ns + _TAP_NS
            elif key in COMMANDS:
                commands.append(COMMANDS[key])
        velocity = np.zeros(6)
        self._until_ns = {key: until for key, until in self._until_ns.items() if until > now_ns}
        for key in self._until_ns:
            axis, sign = _MOTIONS[key]
            velocity[axis] += sign
        return Controls(
            stamp_ns=now_ns,
            active=bool(self._until_ns) or gripper is not None,
            velocity=velocity,
            gripper=gripper,
            commands=tuple(commands),
        )

    def close(self) -> None:
        """See `Device.close`."""
        self._close()


def split_keys(text: str) -> list[str]:
    """Divides what a terminal sent into keys; an arrow is one key of several characters."""
    keys: list[str] = []
    place = 0
    while place < len(text):
        length = 1
        if text.startswith("\x1b[", place):
            length = 3
            if text[place + 2 : place + 3].isdigit():
                length = 4
        keys.append(text[place : place + length])
        place += length
    return [_lowered_arrow(key) for key in keys]


def _lowered_arrow(key: str) -> str:
    return key if key in _MOTIONS or key in COMMANDS or len(key) == 1 else ""
