"""Reads LeRobot v2.1 datasets, and v2.0, which only lacks the statistics of episodes."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.errors import DataError
from robot_policy.data.formats import lerobot_layout as common
from robot_policy.data.formats import lerobot_v21_layout as layout
from robot_policy.data.formats.lerobot_disagreements import disagreements
from robot_policy.data.formats.lerobot_reader import LeRobotReader, StoredEpisode, fill_in
from robot_policy.data.formats.lerobot_statistics import Statistics
from robot_policy.data.statistics import FeatureStatistics


class LeRobotV21Reader(LeRobotReader):
    """The committed episodes of a dataset.

    Args:
        root: Folder of the dataset.
        info: Content of info.json, if it is not to be read from there.

    Raises:
        DataError: If the description of the dataset is missing or damaged.
    """

    def __init__(self, root: Path, info: dict[str, Any] | None = None) -> None:
        self.info = layout.read_info(root) if info is None else info
        self._lines = layout.read_episodes(root, self.info)
        several = any(len(line.get("tasks") or ()) > 1 for line in self._lines)
        description, left_out = common.read_description(root, self.info, several_tasks=several)
        tasks = layout.read_tasks(root, self.info) if self._lines else []
        super().__init__(root, description, left_out=left_out, tasks=tasks)
        left_out += disagreements(
            self.info,
            {line["episode_index"]: line["length"] for line in self._lines},
            first=(lambda: LeRobotV21Reader.stored(self, 0)) if self._lines else None,
            video_folders=root.glob("videos/chunk-*/*"),
        )

    def __len__(self) -> int:
        """Number of episodes."""
        return len(self._lines)

    def stored(self, position: int) -> StoredEpisode:
        """Where an episode lies."""
        line = self._lines[position]
        size = self.info.get("chunks_size")
        if not isinstance(size, int) or size < 1:
            raise DataError("chunks_size is not a number", where=self.root / common.INFO, got=size)
        place = layout.place(line["episode_index"], chunk_size=size)
        return StoredEpisode(
            index=line["episode_index"],
            length=line["length"],
            data=fill_in(self.root, self.info, "data_path", layout.DATA_PATH, **place),
            videos={
                key: (self._video(key, place), 0.0)
                for key, feature in self.description.images.items()
                if common.is_video(feature)
            },
            success=line.get("success"),
            metadata=line.get("metadata"),
        )

    def row(self, position: int) -> Mapping[str, Any]:
        """What episodes.jsonl says about an episode."""
        return self._lines[position]

    def statistics(self, position: int) -> Mapping[str, FeatureStatistics]:
        """See `DatasetReader.statistics`."""
        return self._statistics.get(self._lines[position]["episode_index"], {})

    def _video(self, key: str, place: Mapping[str, Any]) -> Path:
        names = {**place, "video_key": key}
        return fill_in(self.root, self.info, "video_path", layout.VIDEO_PATH, **names)

    @cached_property
    def _statistics(self) -> dict[int, Statistics]:
        path = self.root / layout.STATISTICS
        if not path.exists():
            return {}
        lines = layout.read_lines(path, count=len(self))
        try:
            return {line["episode_index"]: _arrays(line["stats"]) for line in lines}
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError("not a list of statistics", where=path, got=repr(error)) from error


def _arrays(data: Mapping[str, Mapping[str, Any]]) -> Statistics:
    return {
        key: {name: _array(name, values) for name, values in statistics.items()}
        for key, statistics in data.items()
    }


def _array(name: str, values: Any) -> NDArray[Any]:
    return np.array(values, dtype=np.int64 if name == "count" else np.float64)
