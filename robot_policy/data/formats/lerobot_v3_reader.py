"""Reads LeRobot v3.0 datasets, this project's and others'."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from robot_policy.core.errors import DataError
from robot_policy.data.formats import lerobot_layout as common
from robot_policy.data.formats import lerobot_v3_layout as layout
from robot_policy.data.formats.lerobot_disagreements import disagreements
from robot_policy.data.formats.lerobot_reader import LeRobotReader, StoredEpisode, fill_in
from robot_policy.data.formats.lerobot_v3_tables import (
    read_episode_table,
    read_tasks,
    row_statistics,
)
from robot_policy.data.statistics import FeatureStatistics


class LeRobotV3Reader(LeRobotReader):
    """The committed episodes of a dataset.

    Args:
        root: Folder of the dataset.
        info: Content of info.json, if it is not to be read from there.

    Raises:
        DataError: If the description of the dataset is missing or damaged.
    """

    def __init__(self, root: Path, info: dict[str, Any] | None = None) -> None:
        self.info = layout.read_info(root) if info is None else info
        self._rows = read_episode_table(root, self.info)
        several = any(len(row.get("tasks") or ()) > 1 for row in self._rows)
        description, left_out = common.read_description(root, self.info, several_tasks=several)
        tasks = read_tasks(root) if self._rows else []
        super().__init__(root, description, left_out=left_out, tasks=tasks)
        left_out += disagreements(
            self.info,
            {row["episode_index"]: row["length"] for row in self._rows},
            first=(lambda: LeRobotV3Reader.stored(self, 0)) if self._rows else None,
            video_folders=root.glob("videos/*"),
        )

    def __len__(self) -> int:
        """Number of episodes."""
        return len(self._rows)

    def stored(self, position: int) -> StoredEpisode:
        """Where an episode lies."""
        row = self._rows[position]
        return StoredEpisode(
            index=row["episode_index"],
            length=row["length"],
            data=self._path("data_path", layout.DATA_PATH, row, "data"),
            videos={
                key: self._video(key, row)
                for key, feature in self.description.images.items()
                if common.is_video(feature)
            },
            success=row.get("success"),
            metadata=row.get("metadata"),
        )

    def row(self, position: int) -> Mapping[str, Any]:
        """What meta/episodes says about an episode, without statistics."""
        return self._rows[position]

    def statistics(self, position: int) -> Mapping[str, FeatureStatistics]:
        """See `DatasetReader.statistics`."""
        return row_statistics(self._rows_with_statistics[position])

    @cached_property
    def _rows_with_statistics(self) -> list[dict[str, Any]]:
        return read_episode_table(self.root, self.info, statistics=True)

    def _video(self, key: str, row: Mapping[str, Any]) -> tuple[Path, float]:
        name = f"videos/{key}/from_timestamp"
        start_s = row.get(name)
        if not isinstance(start_s, int | float) or not 0 <= start_s < np.inf:
            where = f"{self.root / 'meta/episodes'}, episode {row['episode_index']}"
            if name not in row:
                raise DataError(f"no column {name!r}", where=where)
            raise DataError(f"{name} is not a time", where=where, got=start_s)
        path = self._path("video_path", layout.VIDEO_PATH, row, f"videos/{key}", video_key=key)
        return path, float(start_s)

    def _path(
        self, template: str, default: str, row: Mapping[str, Any], prefix: str, **names: str
    ) -> Path:
        numbers = {name: row.get(f"{prefix}/{name}") for name in ("chunk_index", "file_index")}
        return fill_in(self.root, self.info, template, default, **names, **numbers)
