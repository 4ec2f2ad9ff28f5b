"""metadata.yaml of a bag, against its files."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from robot_policy.core.errors import DataError
from robot_policy.data.rosbag.bag import is_bag
from robot_policy.data.rosbag.bag_metadata import METADATA, read_bag_metadata
from robot_policy.data.rosbag.mcap_file import McapFile
from robot_policy.data.validation.check import Check
from robot_policy.data.validation.checks.lerobot_files import MISSING, SURPLUS
from robot_policy.data.validation.finding import Fault, Finding, Place, Severity

MESSAGES = Fault(
    "message-count",
    Severity.ERROR,
    "metadata.yaml says another number of messages than its files hold",
    "--fix counts anew",
    mended=True,
)
BAG = frozenset({"rosbag2_mcap"})


class BagCounts(Check):
    """Compares topic by topic, from the indices of the files."""

    faults = (MESSAGES, MISSING, SURPLUS)
    formats = BAG

    def begin(self) -> Iterator[Finding]:
        """Looks at every bag."""
        for folder in bags(self.subject.path):
            yield from self._of(folder)

    def _of(self, folder: Path) -> Iterator[Finding]:
        metadata = read_bag_metadata(folder)
        counts: Counter[str] = Counter()
        for name in metadata.files:
            counts.update(McapFile(folder / name).counts)
        for topic in sorted({*metadata.counts, *counts}):
            told, there = metadata.counts.get(topic, 0), counts.get(topic, 0)
            if told != there:
                place = Place(self.subject.inside(folder / METADATA), feature=topic)
                yield Finding(MESSAGES, place, f"{told} messages, expected {there}")
        for path in sorted(folder.glob("*.mcap")):
            if path.name not in metadata.files:
                found = f"{METADATA} does not name it"
                yield Finding(SURPLUS, Place(self.subject.inside(path)), found)


def bags(path: Path) -> list[Path]:
    """Folders of bags at a path that have metadata."""
    if path.is_file():
        return []
    candidates = [path] if is_bag(path) else sorted(p for p in path.iterdir() if p.is_dir())
    return [folder for folder in candidates if (folder / METADATA).is_file()]


def missing_files(path: Path) -> Iterator[Finding]:
    """Files that are named and not there; such a bag cannot be opened."""
    for folder in bags(path):
        try:
            names = read_bag_metadata(folder).files
        except DataError:
            continue  # is told when it is opened
        for name in names:
            if not (folder / name).is_file():
                place = Place((folder / name).relative_to(path).as_posix(), feature=METADATA)
                yield Finding(MISSING, place, "no such file")
