"""Whether the gripper closes when it is commanded to close."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from robot_policy.core.observation import ACTION, STATE
from robot_policy.data.recording import Description, Recording
from robot_policy.data.validation.check import Check, Subject
from robot_policy.data.validation.checks.gripper_range import gripper_entry
from robot_policy.data.validation.finding import Fault, Finding, Place, Severity
from robot_policy.data.validation.naming import gripper_entries

INVERTED = Fault(
    "gripper-inverted",
    Severity.ERROR,
    "the gripper opens when it is commanded to close",
    "turn the command, or the measured gripper, around: 0 is open and 1 is closed",
)
_OPENINGS = ("qpos", "width", "opening", "joint")
_LEAST_SHARE = 0.2
"""Of its range that the gripper must have moved either way, before anything is concluded."""


@dataclass(frozen=True, slots=True)
class _Measured:
    """Entry of the state that measures the gripper; sign 1 where it grows as it closes."""

    entry: int
    sign: float


class GripperDirection(Check):
    """Adds up how the measured gripper moves under either command."""

    faults = (INVERTED,)

    def __init__(self, subject: Subject) -> None:
        super().__init__(subject)
        self._command = gripper_entry(subject)
        self._measured = _measured(subject.description, self._command)
        self._closing = self._opening = 0.0
        self._low, self._high = np.inf, -np.inf

    def episode(self, position: int, recording: Recording) -> tuple[Finding, ...]:
        """Takes note."""
        columns = recording.columns
        if self._command is None or self._measured is None or len(recording) < 2:
            return ()
        if ACTION not in columns or STATE not in columns:
            return ()
        command = columns[ACTION][:-1, self._command].astype(np.float64)
        measured = columns[STATE][:, self._measured.entry].astype(np.float64)
        if not (np.isfinite(command).all() and np.isfinite(measured).all()):
            return ()
        middle = (command.min() + command.max()) / 2
        moved = np.diff(measured) * self._measured.sign
        self._closing += float(moved[command > middle].sum())
        self._opening += float(moved[command < middle].sum())
        self._low = min(self._low, float(measured.min()))
        self._high = max(self._high, float(measured.max()))
        return ()

    def end(self) -> Iterator[Finding]:
        """Tells if it moves the wrong way under either command."""
        least = _LEAST_SHARE * (self._high - self._low)
        if not np.isfinite(least) or least <= 0 or self._measured is None:
            return
        if (self._closing < -least and self._opening >= 0) or (
            self._opening > least and self._closing <= 0
        ):
            names = self.subject.description.features[STATE].names
            found = f"{names[self._measured.entry]} moves against its command"
            yield Finding(INVERTED, Place(feature=ACTION), found)


def _measured(description: Description, command: int | None) -> _Measured | None:
    """What measures the gripper, if it is known which way."""
    entries = gripper_entries(description, STATE)
    if command is None or not entries:
        return None
    names, commands = description.features[STATE].names, description.features[ACTION].names
    for entry in entries:
        if commands and names[entry] == commands[command]:
            return _Measured(entry, 1.0)
    opening = [e for e in entries if any(word in names[e].lower() for word in _OPENINGS)]
    if description.spec is None or not opening:
        return None
    return _Measured(opening[0], -1.0)
