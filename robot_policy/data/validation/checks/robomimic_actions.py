"""Actions as robomimic's policies need them."""

from collections.abc import Iterator

import numpy as np

from robot_policy.data.formats.hdf5_file import dataset, group, open_hdf5
from robot_policy.data.formats.robomimic_layout import sorted_demos
from robot_policy.data.recording import Recording
from robot_policy.data.validation.check import Check, Subject
from robot_policy.data.validation.checks.robomimic_counts import HDF5
from robot_policy.data.validation.finding import Fault, Finding, Place, Severity
from robot_policy.data.validation.grouping import runs

UNSCALED = Fault(
    "action-not-normalised",
    Severity.WARNING,
    "actions outside [-1, 1], where robomimic's policies cannot follow",
    "scale them; `data convert` does, where the bounds of actions are known",
)


class RobomimicActions(Check):
    """Looks at `actions` as they are in the file."""

    faults = (UNSCALED,)
    formats = HDF5

    def __init__(self, subject: Subject) -> None:
        super().__init__(subject)
        with open_hdf5(subject.path) as file:
            self._demos = sorted_demos(group(file, "data", where=subject.path))

    def episode(self, position: int, recording: Recording) -> Iterator[Finding]:
        """Looks at one demonstration."""
        name, path = self._demos[position], self.subject.path
        with open_hdf5(path) as file:
            demo = group(group(file, "data", where=path), name, where=path)
            actions = dataset(demo, "actions", where=path)[()]
        if actions.size == 0:
            return
        size = np.abs(actions).reshape(len(actions), -1).max(axis=1)
        for run in runs(size > 1 + 1e-5):
            worst = float(size[run.first : run.last + 1].max())
            place = Place(name, position, run.frames, "actions")
            yield Finding(UNSCALED, place, f"up to {worst:.4g}{run}")
