"""What reading a LeRobot dataset of any version has in common: the frames of one episode."""

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from robot_policy.core.episode import Success
from robot_policy.core.errors import DataError
from robot_policy.core.observation import TASK
from robot_policy.data.formats.lerobot_images import EmbeddedFrames
from robot_policy.data.formats.lerobot_layout import BOOKKEEPING, INFO, is_video
from robot_policy.data.formats.parquet import column, read_table
from robot_policy.data.formats.video import VideoFrames
from robot_policy.data.frames import Frames
from robot_policy.data.recording import SUCCESS, Description, Feature, Recording
from robot_policy.data.statistics import FeatureStatistics


@dataclass(frozen=True, slots=True)
class StoredEpisode:
    """Where an episode lies, and what the dataset says about it.

    Attributes:
        index: Its number.
        length: Frames.
        data: Parquet file.
        videos: Camera key to file and time of the first frame in it [s].
        success: Outcome, if it is told.
        metadata: JSON, if there is any.
    """

    index: int
    length: int
    data: Path
    videos: Mapping[str, tuple[Path, float]]
    success: Any = None
    metadata: Any = None


class LeRobotReader(ABC):
    """The committed episodes of a dataset; see `DatasetReader`.

    Args:
        root: Folder of the dataset.
        description: What it holds.
        left_out: Features that are not read.
        tasks: Instruction texts by task index.
    """

    def __init__(
        self,
        root: Path,
        description: Description,
        *,
        left_out: Sequence[str],
        tasks: Sequence[str],
    ) -> None:
        self.root = root
        self.description = description
        self.left_out = left_out
        self.tasks = list(tasks)
        """Instruction texts by task index."""
        self._table: tuple[Path, pa.Table] | None = None

    @abstractmethod
    def __len__(self) -> int:
        """Number of episodes."""

    @abstractmethod
    def stored(self, position: int) -> StoredEpisode:
        """Where an episode lies; raises DataError if its metadata are wrong."""

    @abstractmethod
    def row(self, position: int) -> Mapping[str, Any]:
        """What the metadata say about an episode, without statistics."""

    @abstractmethod
    def statistics(self, position: int) -> Mapping[str, FeatureStatistics]:
        """See `DatasetReader.statistics`."""

    def recording(self, position: int) -> Recording:
        """See `DatasetReader.recording`."""
        episode = self.stored(position)
        where = f"{episode.data}, episode {episode.index}"
        table, first = self.rows_of(episode)
        if len(table) != episode.length:
            raise DataError(
                "wrong number of frames", where=where, expected=episode.length, got=len(table)
            )
        columns = {
            key: column(table, key, shape=f.shape, where=where, dtype=f.dtype)
            for key, f in self.description.columns.items()
            if key != TASK
        }
        for key in BOOKKEEPING:
            if key in table.column_names:
                columns[key] = column(table, key, shape=(1,), where=where)
        texts = self.texts(columns, where)
        if TASK in self.description.features:
            columns[TASK] = np.array(texts, dtype=object)[:, None]
        return Recording(
            index=episode.index,
            columns=columns,
            frames={
                key: self._frames(key, f, episode, first)
                for key, f in self.description.images.items()
            },
            task=texts[0] if texts else "",
            success=_success(episode, columns),
            metadata=_metadata(episode, position, where),
            where=where,
        )

    def rows_of(self, episode: StoredEpisode) -> tuple[pa.Table, int]:
        """Frames of an episode, and the row of the first one in its file.

        Raises:
            DataError: If the file is missing or damaged, or the frames lie apart.
        """
        table = self.table(episode.data)
        if "episode_index" not in table.column_names:
            return table, 0
        numbers = column(table, "episode_index", shape=(1,), where=episode.data)[:, 0]
        mine = np.flatnonzero(numbers == episode.index)
        if not len(mine):
            return table.slice(0, 0), 0
        if mine[-1] - mine[0] + 1 != len(mine):
            raise DataError(
                "the frames of an episode lie apart",
                where=f"{episode.data}, episode {episode.index}",
            )
        return table.slice(int(mine[0]), len(mine)), int(mine[0])

    def table(self, path: Path) -> pa.Table:
        """All frames of a data file; it is kept, as it may hold the next episode, too.

        Raises:
            DataError: If it is missing or damaged.
        """
        if self._table is None or self._table[0] != path:
            wanted = [*self.description.columns, *BOOKKEEPING]
            self._table = path, read_table(path, wanted)
        return self._table[1]

    def texts(self, columns: Mapping[str, NDArray[Any]], where: str) -> list[str]:
        """Tasks of the frames of an episode.

        Raises:
            DataError: If one is not in the table of tasks.
        """
        if "task_index" not in columns:
            raise DataError("no column 'task_index'", where=where)
        indices = columns["task_index"][:, 0].tolist()
        for index in indices:
            if not 0 <= index < len(self.tasks):
                raise DataError(
                    f"no task {index}", where=where, expected=f"less than {len(self.tasks)}"
                )
        return [self.tasks[index] for index in indices]

    def _frames(self, key: str, feature: Feature, episode: StoredEpisode, first: int) -> Frames:
        if not is_video(feature):
            return EmbeddedFrames(episode.data, key, feature, first, episode.length)
        path, start_s = episode.videos[key]
        rate_hz = self.description.rate_hz
        return VideoFrames(
            path,
            (feature.shape[0], feature.shape[1]),
            rate_hz,
            first=round(start_s * rate_hz),
            count=episode.length,
            depth=feature.is_depth,
        )


def fill_in(root: Path, info: Mapping[str, Any], template: str, default: str, **names: Any) -> Path:
    """Returns the path that a template of info.json gives.

    Raises:
        DataError: If it cannot be filled in or leads out of the dataset.
    """
    try:
        name = (info.get(template) or default).format(**names)
    except (KeyError, IndexError, ValueError, TypeError, AttributeError) as error:
        raise DataError(f"{template} cannot be filled in", where=root / INFO, got=error) from error
    path = root / name
    if ".." in Path(name).parts or Path(name).is_absolute():
        raise DataError(f"{template} leads out of the dataset", where=root / INFO, got=name)
    return path


def _success(episode: StoredEpisode, columns: Mapping[str, NDArray[Any]]) -> Success:
    if episode.success in list(Success):
        return Success(episode.success)
    if SUCCESS not in columns:
        return Success.UNKNOWN
    return Success.YES if columns[SUCCESS].any() else Success.NO


def _metadata(episode: StoredEpisode, position: int, where: str) -> dict[str, Any]:
    if not isinstance(episode.metadata, str):
        # Not ours: where numbers are missing, the number is all there is to know an episode by.
        return {} if episode.index == position else {"episode_index": episode.index}
    try:
        data = json.loads(episode.metadata)
    except ValueError as error:
        raise DataError("metadata is not JSON", where=where, got=error) from error
    return data if isinstance(data, dict) else {"metadata": data}
