"""Numbers of frames and episodes in the data."""

from collections.abc import Iterator

import numpy as np

from robot_policy.data.recording import Recording
from robot_policy.data.validation.check import Check, Subject
from robot_policy.data.validation.finding import Fault, Finding, Place, Severity
from robot_policy.data.validation.grouping import runs
from robot_policy.data.validation.lenient_lerobot import LEROBOT, LenientLeRobotReader

INDEX = Fault(
    "index-mismatch",
    Severity.ERROR,
    "frame_index, episode_index or index does not count what it should",
    "--fix numbers anew",
    mended=True,
)


class LeRobotIndices(Check):
    """frame_index from 0, episode_index of the episode, index through all frames."""

    faults = (INDEX,)
    formats = LEROBOT

    def __init__(self, subject: Subject) -> None:
        super().__init__(subject)
        self._frames = self._position = 0

    def episode(self, position: int, recording: Recording) -> Iterator[Finding]:
        """Compares with counting."""
        reader = self.subject.reader
        assert isinstance(reader, LenientLeRobotReader)
        for unreadable in range(self._position, position):
            self._frames += reader.row(unreadable)["length"]
        self._position = position + 1
        frame = np.arange(len(recording))
        expected = {
            "frame_index": frame,
            "episode_index": np.full(len(recording), recording.index),
            "index": self._frames + frame,
        }
        self._frames += len(recording)
        for key, there in expected.items():
            if key not in recording.columns:
                yield Finding(INDEX, Place(episode=position, feature=key), "no such column")
                continue
            values = recording.columns[key][:, 0]
            for run in runs(values != there):
                found = f"{values[run.first]} first, expected {there[run.first]}{run}"
                yield Finding(INDEX, Place(None, position, run.frames, key), found)
