"""Real capture times: whether they increase, and how evenly."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from robot_policy.data.recording import STAMP, Recording
from robot_policy.data.validation.check import Check
from robot_policy.data.validation.finding import Fault, Finding, Place, Severity
from robot_policy.data.validation.grouping import runs

ORDER = Fault(
    "stamp-not-increasing",
    Severity.ERROR,
    "capture times stand still or go back",
    "record again with one clock; policies are not trained on such an episode",
)
GAP = Fault(
    "stamp-gap",
    Severity.WARNING,
    "frames are missing between two that follow each other",
    "leave the episode out (`data filter`), or cut it there",
)
UNEVEN = Fault(
    "stamp-irregular",
    Severity.WARNING,
    "many intervals between frames are far from the control period",
    "look at what slowed the recorder down; resample from a bag",
)
RATE = Fault(
    "stamp-rate",
    Severity.WARNING,
    "frames were captured at another rate than the dataset says",
    "correct the rate, or resample",
)
_GAP_PERIODS = 1.75
_UNEVEN_PERIODS = 0.25
_UNEVEN_SHARE = 0.05
_RATE_SHARE = 0.05


class CaptureTimes(Check):
    """Looks at `observation.stamp_ns`."""

    faults = (ORDER, GAP, UNEVEN, RATE)

    def episode(self, position: int, recording: Recording) -> Iterator[Finding]:
        """Looks at the intervals between frames."""
        column = recording.columns.get(STAMP)
        if column is None or column.dtype.kind not in "iu" or len(column) < 2:
            return
        stamps = column.reshape(len(column), -1)[:, 0].astype(np.int64)
        steps_ns = np.diff(stamps)
        back = np.append(False, steps_ns <= 0)
        for run in runs(back):
            found = f"{steps_ns[run.first - 1] * 1e-6:g} ms after the frame before{run}"
            yield Finding(ORDER, Place(None, position, run.frames, STAMP), found)
        yield from self._intervals(position, steps_ns)

    def _intervals(self, position: int, steps_ns: NDArray[np.int64]) -> Iterator[Finding]:
        forward = steps_ns[steps_ns > 0]
        if not len(forward):
            return
        told_ns = 1e9 / self.subject.description.rate_hz
        period_ns = float(np.median(forward))
        everywhere = Place(episode=position, feature=STAMP)
        if abs(period_ns / told_ns - 1) > _RATE_SHARE:
            found = f"{1e9 / period_ns:.4g} Hz, expected {1e9 / told_ns:.4g} Hz"
            yield Finding(RATE, everywhere, found)
        gaps = np.append(False, steps_ns > _GAP_PERIODS * period_ns)
        for run in runs(gaps):
            longest_ns = int(steps_ns[run.first - 1 : run.last].max())
            lost = round(longest_ns / period_ns) - 1
            found = f"{longest_ns * 1e-6:.4g} ms before it, as if {lost} frames were missing{run}"
            yield Finding(GAP, Place(None, position, run.frames, STAMP), found)
        normal = forward[forward <= _GAP_PERIODS * period_ns]
        uneven = np.abs(normal - period_ns) > _UNEVEN_PERIODS * period_ns
        if uneven.mean() > _UNEVEN_SHARE:
            found = f"{uneven.mean():.0%} of intervals are off by more than a quarter of the period"
            yield Finding(UNEVEN, everywhere, found)
