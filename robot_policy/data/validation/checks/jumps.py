"""Values that jump: a sensor that dropped out, an angle that wrapped, episodes glued together."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.observation import ACTION, STATE
from robot_policy.data.recording import Recording
from robot_policy.data.validation.check import Check, Subject
from robot_policy.data.validation.finding import Fault, Finding, Place, Severity
from robot_policy.data.validation.grouping import runs
from robot_policy.data.validation.naming import entry_names, gripper_entries

JUMP = Fault(
    "jump",
    Severity.WARNING,
    "a value moves by half of its range from one frame to the next, and slowly elsewhere",
    "look at the episode (`data view`); leave it out, cut it there, or unwrap the angle",
)
_OF_RANGE = 0.5
_OF_USUAL = 10.0
_USUAL = 0.95
_RATES = ("vel", "acc", "force", "torque", "effort")
"""In names of entries that jump by nature, as an arm starts or touches something."""
_LEAST_LEVELS = 9
"""Entries with fewer different values are switches, which jump."""


class Jumps(Check):
    """Looks at the state, and at actions that are places."""

    faults = (JUMP,)

    def __init__(self, subject: Subject) -> None:
        super().__init__(subject)
        spec = subject.description.spec
        absolute = spec is not None and not spec.action_space.is_delta
        self._keys = (STATE, ACTION) if absolute else (STATE,)
        self._ranges: dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]] = {}

    def episode(self, position: int, recording: Recording) -> Iterator[Finding]:
        """Looks at the steps between frames."""
        for key in self._keys:
            values = recording.columns.get(key)
            if values is None or values.dtype.kind != "f" or len(values) < _LEAST_LEVELS:
                continue
            flat = values.reshape(len(values), -1).astype(np.float64)
            jumps = _jumps(flat, self._span(key, flat))
            if key == ACTION:
                jumps[:, gripper_entries(self.subject.description, key)] = False
            names = entry_names(self.subject.description, key, flat.shape[1])
            rates = [any(word in name.lower() for word in _RATES) for name in names]
            jumps[:, rates] = False
            for run in runs(np.asarray(jumps.any(axis=1))):
                entries = np.flatnonzero(jumps[run.first : run.last + 1].any(axis=0))
                entry = int(entries[0])
                before, after = flat[run.first - 1, entry], flat[run.first, entry]
                more = f" and {len(entries) - 1} more" if len(entries) > 1 else ""
                found = f"{names[entry]}{more} from {before:.4g} to {after:.4g}{run}"
                yield Finding(JUMP, Place(None, position, run.frames, key), found)

    def _span(self, key: str, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """How far the entries (D,) move in the episodes so far, if not in this one."""
        low, high = np.fmin.reduce(values), np.fmax.reduce(values)
        if key in self._ranges:
            low, high = np.fmin(low, self._ranges[key][0]), np.fmax(high, self._ranges[key][1])
        self._ranges[key] = low, high
        return high - low


def _jumps(values: NDArray[np.float64], span: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which entries of (T, D) arrive at a frame by a jump; `span` (D,) is how far they move."""
    found = np.zeros(values.shape, dtype=bool)
    steps = np.abs(np.diff(values, axis=0))
    with np.errstate(invalid="ignore"):
        usual = np.quantile(steps, _USUAL, axis=0)
        found[1:] = (steps > _OF_RANGE * span) & (steps > _OF_USUAL * usual)
    for entry in np.flatnonzero(found.any(axis=0)).tolist():
        if len(np.unique(values[:, entry])) < _LEAST_LEVELS:
            found[:, entry] = False
    return found
