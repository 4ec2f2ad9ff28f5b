"""Writes LeRobot v3.0 datasets, one committed episode after the other."""

import json
import re
from pathlib import Path
from typing import Any

import pyarrow as pa

from robot_policy.core.files import write_json
from robot_policy.data.formats import lerobot_layout as common
from robot_policy.data.formats import lerobot_v3_layout as layout
from robot_policy.data.formats.lerobot_statistics import Statistics, merge, merged, to_lists
from robot_policy.data.formats.lerobot_v3_tables import (
    read_episode_table,
    read_tasks,
    row_statistics,
    task_table,
)
from robot_policy.data.formats.lerobot_writer import LeRobotWriter, task_texts
from robot_policy.data.formats.parquet import write_table
from robot_policy.data.recording import Description, Recording


class LeRobotV3Writer(LeRobotWriter):
    """Adds episodes to a dataset. Use `create` or `append`.

    Args:
        root: Folder of the dataset.
        description: What every episode holds.
        tasks: Instruction texts so far, by task index.
        episodes: Committed so far.
        frames: In them.
        statistics: Of them.
    """

    def __init__(
        self,
        root: Path,
        description: Description,
        *,
        tasks: list[str],
        episodes: int,
        frames: int,
        statistics: Statistics,
    ) -> None:
        super().__init__(root, description, tasks=tasks, episodes=episodes, frames=frames)
        self._statistics = statistics

    @classmethod
    def create(cls, root: Path, description: Description) -> "LeRobotV3Writer":
        """Starts a dataset in a folder that is new or empty."""
        info = layout.info_json(description, episodes=0, frames=0, tasks=0)
        if spec := common.spec_json(description):
            write_json(root / common.SPEC, spec)
        write_json(root / common.INFO, info)
        return cls(root, description, tasks=[], episodes=0, frames=0, statistics={})

    @classmethod
    def append(cls, root: Path, description: Description) -> "LeRobotV3Writer":
        """Goes on with a dataset; removes what an interrupted writer left.

        Raises:
            DataError: If the dataset is damaged.
        """
        info = layout.read_info(root)
        rows = read_episode_table(root, info, statistics=True)
        writer = cls(
            root,
            description,
            tasks=read_tasks(root)[: info["total_tasks"]] if rows else [],
            episodes=len(rows),
            frames=sum(row["length"] for row in rows),
            statistics=merged(map(row_statistics, rows)),
        )
        writer.close()
        return writer

    def _data_path(self) -> str:
        return layout.DATA_PATH.format(**layout.place(self._episodes))

    def _video_path(self, key: str) -> str:
        return layout.VIDEO_PATH.format(video_key=key, **layout.place(self._episodes))

    def _commit_metadata(
        self, recording: Recording, tasks: list[str], statistics: Statistics
    ) -> None:
        row = pa.Table.from_pylist([self._episode_row(recording, statistics)])
        place = layout.place(self._episodes)
        together = merge(self._statistics, statistics)
        info = layout.info_json(
            self._description,
            episodes=self._episodes + 1,
            frames=self._frames + len(recording),
            tasks=len(tasks),
        )
        self._commit_together(
            {
                layout.TASKS: lambda path: write_table(task_table(tasks), path),
                layout.EPISODES_PATH.format(**place): lambda path: _write_row(path, row),
                layout.STATS: lambda path: write_json(path, to_lists(together)),
                common.INFO: lambda path: write_json(path, info),
            }
        )
        self._statistics = together

    def _episode_row(self, recording: Recording, statistics: Statistics) -> dict[str, Any]:
        place, length = layout.place(self._episodes), len(recording)
        row: dict[str, Any] = {
            "episode_index": self._episodes,
            "tasks": task_texts(recording),
            "length": length,
            "dataset_from_index": self._frames,
            "dataset_to_index": self._frames + length,
            # Not LeRobot's, which leaves them alone.
            "success": recording.success.value,
            "metadata": json.dumps(dict(recording.metadata), allow_nan=False),
        }
        for prefix in ("data", "meta/episodes"):
            row |= {f"{prefix}/{key}": value for key, value in place.items()}
        times = {"from_timestamp": 0.0, "to_timestamp": length / self._rate_hz}
        for key, feature in self._description.images.items():
            if common.is_video(feature):
                row |= {f"videos/{key}/{name}": value for name, value in (place | times).items()}
        for key, values in statistics.items():
            row |= {f"stats/{key}/{name}": value.tolist() for name, value in values.items()}
        return row

    def _remove_leftovers(self) -> None:
        for pattern in ("data/*/*.parquet", "meta/episodes/*/*.parquet", "videos/*/*/*.mp4"):
            for path in self._root.glob(pattern):
                number = re.fullmatch(r"chunk-(\d+)/file-(\d+)", f"{path.parent.name}/{path.stem}")
                if number is None:
                    continue
                chunk, file = map(int, number.groups())
                if chunk * layout.FILES_PER_CHUNK + file >= self._episodes:
                    path.unlink()


def _write_row(path: Path, row: pa.Table) -> None:
    # A hundred columns of one row: parquet's own statistics and dictionaries would outweigh them.
    write_table(row, path, use_dictionary=False, write_statistics=False, store_schema=False)
