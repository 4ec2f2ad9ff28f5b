"""Files that the metadata name and that are not there, and the reverse."""

from collections.abc import Iterator
from pathlib import Path

from robot_policy.core.errors import DataError
from robot_policy.data.validation.check import Check
from robot_policy.data.validation.finding import Fault, Finding, Place, Severity
from robot_policy.data.validation.lenient_lerobot import LEROBOT, LenientLeRobotReader

MISSING = Fault(
    "missing-file",
    Severity.ERROR,
    "a data file or a video is not there",
    "bring it back; --fix --drop undecodable leaves its episodes out",
)
SURPLUS = Fault(
    "unreferenced-file",
    Severity.WARNING,
    "a data file or a video belongs to no episode",
    "remove it, or count its episode in the metadata; --fix leaves it out",
    mended=True,
)
_FOLDERS = ("data", "videos")


class LeRobotFiles(Check):
    """Goes through the metadata once, and through the folders once."""

    faults = (MISSING, SURPLUS)
    formats = LEROBOT

    def begin(self) -> Iterator[Finding]:
        """Looks whether files are there; opens none."""
        reader = self.subject.reader
        assert isinstance(reader, LenientLeRobotReader)
        named: dict[Path, bool] = {}
        for position in range(len(reader)):
            try:
                episode = reader.place(position)
            except DataError:
                continue  # is told when the episode is read
            files = [(episode.data, None), *((p, key) for key, (p, _) in episode.videos.items())]
            for path, key in files:
                if path not in named:
                    named[path] = path.is_file()
                if not named[path]:
                    place = Place(self.subject.inside(path), position, feature=key)
                    yield Finding(MISSING, place, "no such file")
        yield from self._surplus(named)

    def _surplus(self, named: dict[Path, bool]) -> Iterator[Finding]:
        for folder in _FOLDERS:
            for path in sorted((self.subject.path / folder).rglob("*.*")):
                if path.suffix in (".parquet", ".mp4") and path not in named:
                    yield Finding(SURPLUS, Place(self.subject.inside(path)), "no episode is in it")
