"""LeRobot's own timestamps, which are frame numbers over the rate and nothing else."""

from collections.abc import Iterator

import numpy as np

from robot_policy.data.recording import Recording
from robot_policy.data.validation.check import Check
from robot_policy.data.validation.finding import Fault, Finding, Place, Severity
from robot_policy.data.validation.grouping import runs
from robot_policy.data.validation.lenient_lerobot import LEROBOT

ORDER = Fault(
    "timestamp-not-increasing",
    Severity.ERROR,
    "timestamps stand still or go back",
    "--fix makes them of the frame numbers",
    mended=True,
)
OFF_GRID = Fault(
    "timestamp-off-grid",
    Severity.ERROR,
    "a timestamp is not the frame number over the rate; LeRobot looks up video frames by it",
    "--fix makes them of the frame numbers; real capture times belong in observation.stamp_ns",
    mended=True,
)
_TOLERANCE_S = 1e-4  # lerobot's own
_FLOAT32 = 2.0**-23


class LeRobotTimestamps(Check):
    """Compares with the frame numbers."""

    faults = (ORDER, OFF_GRID)
    formats = LEROBOT

    def episode(self, position: int, recording: Recording) -> Iterator[Finding]:
        """Looks at `timestamp`."""
        if "timestamp" not in recording.columns:
            place = Place(episode=position, feature="timestamp")
            yield Finding(OFF_GRID, place, "no such column")
            return
        times_s = recording.columns["timestamp"][:, 0].astype(np.float64)
        expected_s = np.arange(len(times_s)) / self.subject.description.rate_hz
        back = np.zeros(len(times_s), dtype=bool)
        back[1:] = ~(np.diff(times_s) > 0)
        for run in runs(back):
            found = f"{times_s[run.first]:g} s after {times_s[run.first - 1]:g} s{run}"
            yield Finding(ORDER, Place(None, position, run.frames, "timestamp"), found)
        off_s = np.abs(times_s - expected_s)
        tolerance_s = np.maximum(_TOLERANCE_S, 2 * _FLOAT32 * expected_s)
        for run in runs(~(off_s <= tolerance_s) & ~back):
            worst = run.first + int(np.nanargmax(off_s[run.first : run.last + 1]))
            found = (
                f"{times_s[worst]:.6g} s at frame {worst}, expected {expected_s[worst]:.6g}{run}"
            )
            yield Finding(OFF_GRID, Place(None, position, run.frames, "timestamp"), found)
