"""How the gripper is commanded: 0 open to 1 closed, and the same in every episode."""

from collections.abc import Iterator

import numpy as np

from robot_policy.core.observation import ACTION
from robot_policy.data.formats.robomimic_actions import UNIT
from robot_policy.data.recording import Recording
from robot_policy.data.validation.check import Check, Subject
from robot_policy.data.validation.finding import Fault, Finding, Place, Severity
from robot_policy.data.validation.naming import gripper_entries

RANGE = Fault(
    "gripper-range",
    Severity.WARNING,
    "the gripper is not commanded by 0 (open) to 1 (closed)",
    "`data convert --si-actions` for robosuite's; else scale it, or train and run in these units",
)
MIXED = Fault(
    "gripper-mixed",
    Severity.WARNING,
    "some episodes command the gripper by -1 to 1, others by 0 to 1",
    "convert the ones before joining them with the others",
)
STILL = Fault(
    "gripper-never-moves",
    Severity.WARNING,
    "the gripper's command never changes in the whole dataset",
    "see whether its topic was recorded; nothing, if the task needs no gripper",
)
_SLACK = 0.02


class GripperRange(Check):
    """Remembers the range of the command, and which episodes go below zero."""

    faults = (RANGE, MIXED, STILL)

    def __init__(self, subject: Subject) -> None:
        super().__init__(subject)
        self._entry = gripper_entry(subject)
        self._low, self._high = np.inf, -np.inf
        self._frames = 0
        self._first_signed: int | None = None
        self._first_unsigned: int | None = None

    def episode(self, position: int, recording: Recording) -> tuple[Finding, ...]:
        """Takes note."""
        if self._entry is None or ACTION not in recording.columns or not len(recording):
            return ()
        command = recording.columns[ACTION][:, self._entry].astype(np.float64)
        command = command[np.isfinite(command)]
        if not len(command):
            return ()
        low, high = float(command.min()), float(command.max())
        self._frames += len(command)
        self._low, self._high = min(self._low, low), max(self._high, high)
        if low < -0.5 and high <= 1 + _SLACK:
            self._first_signed = position if self._first_signed is None else self._first_signed
        elif low > -_SLACK and low < 0.5 and high > low:
            self._first_unsigned = (
                position if self._first_unsigned is None else self._first_unsigned
            )
        return ()

    def end(self) -> Iterator[Finding]:
        """Tells of the dataset."""
        if self._entry is None or self._frames < 2:
            return
        names = self.subject.description.features[ACTION].names
        name = names[self._entry] if names else f"entry {self._entry}"
        span = f"{name} {self._low:.4g} to {self._high:.4g}"
        if self._low == self._high:
            found = f"{name} is {self._low:.4g} in all {self._frames} frames"
            yield Finding(STILL, Place(feature=ACTION), found)
        if self._first_signed is not None and self._first_unsigned is not None:
            found = f"-1 to 1 in episode {self._first_signed}, 0 to 1 in {self._first_unsigned}"
            yield Finding(MIXED, Place(feature=ACTION), found)
        elif self._low < -_SLACK or self._high > 1 + _SLACK:
            yield Finding(RANGE, Place(feature=ACTION), f"{span}, expected 0 to 1")


def gripper_entry(subject: Subject) -> int | None:
    """Entry of the action that commands the gripper: the last one, if it is known for one."""
    feature = subject.description.features.get(ACTION)
    if feature is None or len(feature.shape) != 1 or np.dtype(feature.numpy_dtype).kind != "f":
        return None
    named = gripper_entries(subject.description, ACTION)
    if named:
        return named[-1]
    spec = subject.description.spec
    if spec is None or UNIT not in spec.action.units:
        return None
    return feature.shape[0] - 1
