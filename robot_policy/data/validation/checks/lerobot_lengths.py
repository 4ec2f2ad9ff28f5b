"""Lengths and row ranges of episodes in the metadata, against the rows that are there."""

from collections.abc import Iterator

from robot_policy.data.recording import Recording
from robot_policy.data.validation.check import Check, Subject
from robot_policy.data.validation.finding import Fault, Finding, Place, Severity
from robot_policy.data.validation.lenient_lerobot import LEROBOT, LenientLeRobotReader

LENGTH = Fault(
    "episode-length",
    Severity.ERROR,
    "an episode has another number of frames than its metadata say",
    "--fix takes the frames that are there",
    mended=True,
)
ROWS = Fault(
    "row-range",
    Severity.ERROR,
    "dataset_from_index and dataset_to_index are not the rows of the episode",
    "--fix counts anew",
    mended=True,
)


class LeRobotLengths(Check):
    """Compares episode by episode."""

    faults = (LENGTH, ROWS)
    formats = LEROBOT

    def __init__(self, subject: Subject) -> None:
        super().__init__(subject)
        self._frames = self._position = 0

    def episode(self, position: int, recording: Recording) -> Iterator[Finding]:
        """Looks at the row of the metadata."""
        reader = self.subject.reader
        assert isinstance(reader, LenientLeRobotReader)
        for unreadable in range(self._position, position):
            self._frames += reader.row(unreadable)["length"]
        self._position = position + 1
        row, length = reader.row(position), len(recording)
        if row["length"] != length:
            place = Place(episode=position, feature="length")
            yield Finding(LENGTH, place, f"{row['length']} frames, expected {length}")
        told = row.get("dataset_from_index"), row.get("dataset_to_index")
        there = self._frames, self._frames + row["length"]
        if told != (None, None) and told != there:
            place = Place(episode=position, feature="dataset_from_index")
            yield Finding(ROWS, place, f"{told[0]} to {told[1]}, expected {there[0]} to {there[1]}")
        self._frames += row["length"]
