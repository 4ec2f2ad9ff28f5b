"""Actions against the limits that the dataset, or the description of its robot, declares."""

from collections.abc import Iterator

import numpy as np

from robot_policy.core.observation import ACTION
from robot_policy.core.specs import ArraySpec
from robot_policy.data.recording import Recording
from robot_policy.data.validation.check import Check, Subject
from robot_policy.data.validation.finding import Fault, Finding, Place, Severity
from robot_policy.data.validation.grouping import runs
from robot_policy.data.validation.naming import entry_names

OUTSIDE = Fault(
    "action-outside-limits",
    Severity.ERROR,
    "an action is outside the limits that are declared for it",
    "correct the limits, or the scale of the actions; nothing clips them for you",
)
_TOLERANCE = 1e-5  # of the span: what single precision loses


class ActionLimits(Check):
    """Compares every action."""

    faults = (OUTSIDE,)

    def __init__(self, subject: Subject) -> None:
        super().__init__(subject)
        self._limits = _limits(subject)

    def episode(self, position: int, recording: Recording) -> Iterator[Finding]:
        """Compares the actions of an episode."""
        if self._limits is None or ACTION not in recording.columns:
            return
        actions = recording.columns[ACTION].astype(np.float64)
        low, high = np.array(self._limits.low), np.array(self._limits.high)
        beyond = np.maximum(low - actions, actions - high) - _TOLERANCE * (high - low) - 1e-9
        names = entry_names(self.subject.description, ACTION, actions.shape[1])
        for run in runs(np.asarray((beyond > 0).any(axis=1))):
            part = beyond[run.first : run.last + 1]
            frame, entry = np.unravel_index(int(np.nanargmax(part)), part.shape)
            value = actions[run.first + frame, entry]
            span = f"{low[entry]:.4g} to {high[entry]:.4g}"
            found = f"{names[int(entry)]} {value:.4g}, expected {span}{run}"
            yield Finding(OUTSIDE, Place(None, position, run.frames, ACTION), found)


def _limits(subject: Subject) -> ArraySpec | None:
    """Spec with bounds of the actions, the dataset's own if it has any."""
    spec, robot = subject.description.spec, subject.robot
    if spec is not None and spec.action.low:
        return spec.action
    feature = subject.description.features.get(ACTION)
    if robot is None or feature is None or robot.action_spec.shape != feature.shape:
        return None
    if spec is not None and spec.action_space is not robot.command.action_space:
        return None
    return robot.action_spec if robot.action_spec.low else None
