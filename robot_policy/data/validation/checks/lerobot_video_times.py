"""Times at which videos show their frames, against the times of the frames."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.errors import DataError
from robot_policy.data.formats.video import frame_times_s
from robot_policy.data.recording import Recording
from robot_policy.data.validation.check import Check, Subject
from robot_policy.data.validation.finding import Fault, Finding, Place, Severity
from robot_policy.data.validation.grouping import runs
from robot_policy.data.validation.lenient_lerobot import LEROBOT, LenientLeRobotReader

COUNT = Fault(
    "video-frame-count",
    Severity.ERROR,
    "a video has fewer or more frames than its episodes",
    "record or encode it again; --fix --drop undecodable leaves the episode out",
)
DRIFT = Fault(
    "video-drift",
    Severity.ERROR,
    "a video shows frames half a period or more from their time, so others are taken for them",
    "encode it again at the rate of the dataset; --fix --drop undecodable leaves the episode out",
)
OFF_GRID = Fault(
    "video-off-grid",
    Severity.WARNING,
    "a video shows frames at other times than theirs, by more than lerobot tolerates (0.1 ms)",
    "encode it again at the rate of the dataset",
)
_TOLERANCE_S = 1e-4


class LeRobotVideoTimes(Check):
    """Reads the times in the containers; decodes nothing."""

    faults = (COUNT, DRIFT, OFF_GRID)
    formats = LEROBOT

    def __init__(self, subject: Subject) -> None:
        super().__init__(subject)
        self._known: dict[str, tuple[Path, NDArray[np.float64]]] = {}

    def episode(self, position: int, recording: Recording) -> Iterator[Finding]:
        """Looks at the video of every camera."""
        reader = self.subject.reader
        assert isinstance(reader, LenientLeRobotReader)
        for key, (path, start_s) in reader.place(position).videos.items():
            try:
                times_s = self._times_s(key, path)
            except DataError:
                continue  # is told when the images are decoded
            place = Place(self.subject.inside(path), position, feature=key)
            last = not self._shared(reader, position, key, path)
            yield from self._compare(place, times_s, start_s, len(recording), last=last)

    def _compare(
        self,
        place: Place,
        times_s: NDArray[np.float64],
        start_s: float,
        length: int,
        *,
        last: bool,
    ) -> Iterator[Finding]:
        """Compares with one frame per period from `start_s` on.

        Args:
            place: Of the video.
            times_s: Of all frames of the file [s].
            start_s: Of the first frame of the episode [s].
            length: Frames of the episode.
            last: Whether nothing comes after the episode in the file.
        """
        period_s = 1.0 / self.subject.description.rate_hz
        first = int(np.searchsorted(times_s, start_s - period_s / 2))
        count = len(times_s) - first
        if count < length or (last and count > length):
            yield Finding(COUNT, place, f"{count} frames, expected {length}")
            return
        off_s = times_s[first : first + length] - start_s - np.arange(length) * period_s
        drifts = np.abs(off_s) >= period_s / 2
        for fault, bad in (
            (DRIFT, drifts),
            (OFF_GRID, (np.abs(off_s) > _TOLERANCE_S) & ~drifts.any()),
        ):
            for run in runs(bad):
                worst = run.first + int(np.abs(off_s[run.first : run.last + 1]).argmax())
                found = f"{off_s[worst] * 1e3:+.2f} ms at frame {worst}{run}"
                at = Place(place.file, place.episode, run.frames, place.feature)
                yield Finding(fault, at, found)

    def _times_s(self, key: str, path: Path) -> NDArray[np.float64]:
        """Of the file that was asked for last, remembered: the next episode may lie in it."""
        if key not in self._known or self._known[key][0] != path:
            self._known[key] = path, np.array(frame_times_s(path))
        return self._known[key][1]

    def _shared(self, reader: LenientLeRobotReader, position: int, key: str, path: Path) -> bool:
        """Whether the next episode lies in the same file."""
        if position + 1 >= len(reader):
            return False
        try:
            return reader.place(position + 1).videos[key][0] == path
        except DataError:
            return True  # nobody knows
