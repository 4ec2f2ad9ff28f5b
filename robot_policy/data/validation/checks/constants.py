"""Features that never change: nothing can be learned from them, and scaling divides by zero."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.observation import ACTION, ENVIRONMENT_STATE, STATE
from robot_policy.data.recording import Recording
from robot_policy.data.validation.check import Check, Subject
from robot_policy.data.validation.finding import Fault, Finding, Place, Severity
from robot_policy.data.validation.naming import entry_names, gripper_entries

FEATURE = Fault(
    "constant-feature",
    Severity.WARNING,
    "the state or the action is the same in every frame of the dataset",
    "see whether the sensor or the command was connected; leave the feature out",
)
ENTRY = Fault(
    "constant-entry",
    Severity.NOTE,
    "entries of a feature are the same in every frame of the dataset",
    "nothing, if they do not move; else see whether the sensor was connected",
)
_KEYS = (STATE, ACTION, ENVIRONMENT_STATE)


class Constants(Check):
    """Remembers the smallest and largest value of every entry."""

    faults = (FEATURE, ENTRY)

    def __init__(self, subject: Subject) -> None:
        super().__init__(subject)
        self._spans: dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]] = {}
        self._frames = 0

    def episode(self, position: int, recording: Recording) -> tuple[Finding, ...]:
        """Takes note."""
        self._frames += len(recording)
        for key in _KEYS:
            values = recording.columns.get(key)
            if values is None or values.dtype.kind not in "fiu" or not len(values):
                continue
            flat = values.reshape(len(values), -1).astype(np.float64)
            low, high = np.fmin.reduce(flat), np.fmax.reduce(flat)
            if key in self._spans:
                low = np.fmin(low, self._spans[key][0])
                high = np.fmax(high, self._spans[key][1])
            self._spans[key] = low, high
        return ()

    def end(self) -> Iterator[Finding]:
        """Tells what never changed; of grippers, another check does."""
        if self._frames < 2:
            return
        for key, (low, high) in self._spans.items():
            still = low == high
            if still.all():
                yield Finding(FEATURE, Place(feature=key), f"{low[0]:.4g} in all {self._frames}")
                continue
            still[gripper_entries(self.subject.description, key)] = False
            names = entry_names(self.subject.description, key, len(low))
            entries = [names[number] for number in np.flatnonzero(still).tolist()]
            if entries:
                shown = ", ".join(entries[:6]) + (", …" if len(entries) > 6 else "")
                yield Finding(ENTRY, Place(feature=key), f"{len(entries)} of {len(low)}: {shown}")
