"""Counts in info.json, against what is there."""

from collections.abc import Iterator

from robot_policy.data.formats.lerobot_layout import INFO, is_video
from robot_policy.data.validation.check import Check
from robot_policy.data.validation.finding import Fault, Finding, Place, Severity
from robot_policy.data.validation.lenient_lerobot import LEROBOT, LenientLeRobotReader

TOTAL = Fault(
    "total-mismatch",
    Severity.ERROR,
    "a count of the whole dataset is not what is there",
    "--fix counts anew",
    mended=True,
)


INTERRUPTED = Fault(
    "commit-interrupted",
    Severity.WARNING,
    "writing was cut off when the last episode was there and not yet counted",
    "--fix counts it; going on with the dataset leaves it out",
    mended=True,
)


def was_interrupted(reader: LenientLeRobotReader) -> bool:
    """Whether one episode more is there than info.json counts, as after a kill in that moment."""
    count = len(reader)
    lengths = [reader.row(position)["length"] for position in range(count)]
    told = reader.told.get("total_episodes"), reader.told.get("total_frames")
    return count > 0 and told == (count - 1, sum(lengths[:-1]))


class LeRobotTotals(Check):
    """total_episodes, total_frames, total_tasks, and of v2.1 total_videos and total_chunks."""

    faults = (TOTAL, INTERRUPTED)
    formats = LEROBOT

    def begin(self) -> Iterator[Finding]:
        """Compares what needs no data."""
        reader = self.subject.reader
        assert isinstance(reader, LenientLeRobotReader)
        if was_interrupted(reader):
            place = Place(INFO, episode=len(reader) - 1)
            yield Finding(INTERRUPTED, place, f"{len(reader) - 1} of {len(reader)} counted")
            return
        there = {"total_episodes": len(reader), "total_tasks": len(reader.tasks)}
        there["total_frames"] = sum(
            reader.row(position)["length"] for position in range(len(reader))
        )
        if "total_videos" in reader.told:
            videos = sum(map(is_video, reader.description.images.values()))
            there["total_videos"] = videos * len(reader)
        size = reader.told.get("chunks_size")
        if "total_chunks" in reader.told and isinstance(size, int) and size > 0 and len(reader):
            last: int = reader.row(len(reader) - 1)["episode_index"]
            there["total_chunks"] = last // size + 1
        for name, count in there.items():
            told = reader.told.get(name)
            if told != count:
                yield Finding(TOTAL, Place(INFO, feature=name), f"{told}, expected {count}")
