"""NaN and infinity."""

from collections.abc import Iterator

import numpy as np

from robot_policy.core.observation import ACTION, ENVIRONMENT_STATE, STATE
from robot_policy.data.recording import REWARD, Recording
from robot_policy.data.validation.check import Check
from robot_policy.data.validation.finding import Fault, Finding, Place, Severity
from robot_policy.data.validation.grouping import runs
from robot_policy.data.validation.naming import entry_names

LEARNED_FROM = Fault(
    "not-finite",
    Severity.ERROR,
    "a state, action or reward is NaN or infinite; no policy is trained on it",
    "leave the episode out: `data filter`, or --fix --drop not-finite",
)
OTHER = Fault(
    "not-finite-extra",
    Severity.WARNING,
    "a value of another feature is NaN or infinite",
    "leave the feature or the episode out",
)
_LEARNED_FROM = (STATE, ACTION, ENVIRONMENT_STATE, REWARD)


class FiniteValues(Check):
    """Looks at all numbers with a point."""

    faults = (LEARNED_FROM, OTHER)

    def episode(self, position: int, recording: Recording) -> Iterator[Finding]:
        """Looks at all features but images."""
        for key, values in recording.columns.items():
            if values.dtype.kind != "f":
                continue
            bad = ~np.isfinite(values.reshape(len(values), -1))
            fault = LEARNED_FROM if key in _LEARNED_FROM else OTHER
            names = entry_names(self.subject.description, key, bad.shape[1])
            for run in runs(np.asarray(bad.any(axis=1))):
                entries = np.flatnonzero(bad[run.first : run.last + 1].any(axis=0))
                value = values.reshape(len(values), -1)[run.first, bad[run.first].argmax()]
                where = ", ".join(names[entry] for entry in entries[:4].tolist())
                more = ", …" if len(entries) > 4 else ""
                found = f"{value} in {where}{more}{run}"
                yield Finding(fault, Place(None, position, run.frames, key), found)
