"""What the sticks and buttons of a gamepad mean, whoever reads them: evdev, ROS or a browser."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from robot_policy.teleop.controls import Command, Controls

_DEAD_ZONE = 0.12
_COMMANDS: dict[str, Command] = {
    "start": Command.START,
    "select": Command.EMERGENCY_STOP,
    "y": Command.SUCCESS,
    "b": Command.FAILURE,
    "x": Command.DISCARD,
}
PAD_HELP = (
    ("LB, held", "lets the arm move"),
    ("left stick", "forward, back, left, right"),
    ("right stick up, down", "up, down"),
    ("right stick left, right", "yaw"),
    ("cross", "pitch, roll"),
    ("A", "gripper"),
    ("start", "start an episode"),
    ("Y B X", "success, failure, discard"),
    ("RB", "run the policy"),
    ("select", "emergency stop"),
)


@dataclass(frozen=True, slots=True)
class Pad:
    """A gamepad at one moment.

    Attributes:
        axes: ``left_x``, ``left_y``, ``right_x``, ``right_y``, ``cross_x``, ``cross_y`` to -1 .. 1,
            right and up positive.
        buttons: Of ``a b x y lb rb start select`` those that are down.
    """

    axes: Mapping[str, float] = field(default_factory=dict[str, float])
    buttons: frozenset[str] = frozenset()


class PadControls:
    """Turns what a pad shows into controls; remembers which buttons were down."""

    def __init__(self) -> None:
        self._down: frozenset[str] = frozenset()
        self._closed = False

    def controls(self, pad: Pad, *, stamp_ns: int) -> Controls:
        """Returns the controls of a moment."""
        pressed, self._down = pad.buttons - self._down, pad.buttons
        gripper = None
        if "a" in pressed:
            self._closed = not self._closed
            gripper = float(self._closed)
        commands = [command for name, command in _COMMANDS.items() if name in pressed]
        if "rb" in pressed:
            commands.append(Command.RUN_POLICY)
        a = {name: shaped(value) for name, value in pad.axes.items()}
        velocity = np.array(
            [
                a.get("left_y", 0.0),
                -a.get("left_x", 0.0),
                a.get("right_y", 0.0),
                a.get("cross_x", 0.0),
                a.get("cross_y", 0.0),
                -a.get("right_x", 0.0),
            ]
        )
        return Controls(
            stamp_ns=stamp_ns,
            active="lb" in pad.buttons or gripper is not None,
            velocity=velocity if "lb" in pad.buttons else np.zeros(6),
            gripper=gripper,
            commands=tuple(commands),
        )


def shaped(value: float) -> float:
    """A deflection -1 .. 1 without the dead zone, and fine near the middle: sign(x) x'^2."""
    size = min(max((abs(value) - _DEAD_ZONE) / (1.0 - _DEAD_ZONE), 0.0), 1.0)
    return float(np.sign(value)) * size * size
