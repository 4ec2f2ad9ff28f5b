"""LeRobot datasets read in spite of counts and numbers that are wrong.

The readers refuse an episode whose numbers disagree. Here the rows that are there count, so that
the rest of such an episode can be checked, and carried into a mended copy.
"""

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from robot_policy.core.errors import DataError
from robot_policy.data.formats import lerobot_v3_layout, lerobot_v21_layout
from robot_policy.data.formats.lerobot_layout import BOOKKEEPING
from robot_policy.data.formats.lerobot_reader import LeRobotReader, StoredEpisode
from robot_policy.data.formats.lerobot_v3_reader import LeRobotV3Reader
from robot_policy.data.formats.lerobot_v3_tables import row_statistics
from robot_policy.data.formats.lerobot_v21_reader import LeRobotV21Reader
from robot_policy.data.formats.parquet import naming
from robot_policy.data.recording import Recording
from robot_policy.data.statistics import FeatureStatistics

LEROBOT = frozenset({"lerobot_v3", "lerobot_v21"})


class LenientLeRobotReader(LeRobotReader):
    """What both versions have in common; see `LeRobotReader`."""

    told: dict[str, Any]
    """info.json as it is on disk; `info` has the counts of what is there."""

    def stored(self, position: int) -> StoredEpisode:
        """Where an episode lies, with as many frames as there are rows."""
        episode = super().stored(position)  # pyright: ignore[reportAbstractUsage]
        table, _ = self.rows_of(episode)
        if not len(table):
            raise DataError("no frame", where=f"{episode.data}, episode {episode.index}")
        return replace(episode, length=len(table))

    def recording(self, position: int) -> Recording:
        """See `DatasetReader.recording`; numbers may be wrong, but they are numbers."""
        recording = super().recording(position)
        for key in BOOKKEEPING:
            if key in recording.columns and recording.columns[key].dtype.kind not in "iuf":
                kind = recording.columns[key].dtype
                raise DataError(f"{key} is not a number", where=recording.where, got=kind)
        return recording

    def place(self, position: int) -> StoredEpisode:
        """Where an episode lies, as the metadata have it; the data are not looked at."""
        return super().stored(position)  # pyright: ignore[reportAbstractUsage]

    def rows_of(self, episode: StoredEpisode) -> tuple[pa.Table, int]:
        """Finds the rows by the lengths of the episodes in the file, if these add up."""
        table = self.table(episode.data)
        sharing = self._sharing[episode.data]
        if sum(length for _, length in sharing) == len(table):
            first = 0
            for index, length in sharing:
                if index == episode.index:
                    return table.slice(first, length), first
                first += length
        if len(sharing) == 1:
            return table, 0
        return super().rows_of(episode)

    def texts(self, columns: Mapping[str, NDArray[Any]], where: str) -> list[str]:
        """Tasks of the frames; empty for those that are not in the table."""
        if "task_index" not in columns:
            raise DataError("no column 'task_index'", where=where)
        known = dict(enumerate(self.tasks))
        return [known.get(index, "") for index in columns["task_index"][:, 0].tolist()]

    @cached_property
    def _sharing(self) -> dict[Path, list[tuple[int, int]]]:
        """Data file to the numbers and lengths of the episodes in it, in order."""
        found: dict[Path, list[tuple[int, int]]] = {}
        for position in range(len(self)):
            try:
                episode = self.place(position)
            except DataError:
                continue  # is told when the episode is read
            found.setdefault(episode.data, []).append((episode.index, episode.length))
        return found


class LenientV3Reader(LenientLeRobotReader, LeRobotV3Reader):
    """See `LenientLeRobotReader`.

    Args:
        root: Folder of the dataset.
    """

    def __init__(self, root: Path) -> None:
        self.told = lerobot_v3_layout.read_info(root)
        self._tables = sorted((root / "meta" / "episodes").glob("chunk-*/file-*.parquet"))
        self._ends = list(accumulate(map(_row_count, self._tables)))
        self._with_statistics: tuple[Path, pa.Table] | None = None
        rows = self._ends[-1] if self._ends else 0
        LeRobotV3Reader.__init__(self, root, info=_recounted(self.told, total_episodes=rows))

    def statistics(self, position: int) -> Mapping[str, FeatureStatistics]:
        """See `DatasetReader.statistics`; only one file of them is held at a time."""
        number = bisect_right(self._ends, position)
        table = self._statistics_in(self._tables[number])
        first = self._ends[number] - len(table)
        return row_statistics(table.slice(position - first, 1).to_pylist()[0])

    def _statistics_in(self, path: Path) -> pa.Table:
        if self._with_statistics is None or self._with_statistics[0] != path:
            with naming(path):
                self._with_statistics = path, pq.read_table(path)
        return self._with_statistics[1]


class LenientV21Reader(LenientLeRobotReader, LeRobotV21Reader):
    """See `LenientLeRobotReader`.

    Args:
        root: Folder of the dataset.
    """

    def __init__(self, root: Path) -> None:
        self.told = lerobot_v21_layout.read_info(root)
        info = _recounted(
            self.told,
            total_episodes=_line_count(root / lerobot_v21_layout.EPISODES),
            total_tasks=_line_count(root / lerobot_v21_layout.TASKS),
        )
        LeRobotV21Reader.__init__(self, root, info=info)


def open_lenient(path: Path, format: str) -> LenientLeRobotReader:
    """Opens a dataset of either version.

    Raises:
        DataError: If its description is missing or damaged beyond counts.
    """
    return LenientV3Reader(path) if format == "lerobot_v3" else LenientV21Reader(path)


def _recounted(told: dict[str, Any], **counts: int) -> dict[str, Any]:
    """info.json with other counts; frames that it tells of beyond them are not expected."""
    return {key: value for key, value in told.items() if key != "total_frames"} | counts


def _row_count(path: Path) -> int:
    with naming(path):
        return pq.ParquetFile(path).metadata.num_rows


def _line_count(path: Path) -> int:
    if not path.exists():
        return 0  # is told where it is read
    try:
        with path.open("rb") as stream:
            return sum(1 for line in stream if line.strip())
    except OSError as error:
        raise DataError("not readable", where=path, got=error) from error
