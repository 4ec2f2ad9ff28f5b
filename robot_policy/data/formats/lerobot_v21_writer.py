"""Writes LeRobot v2.1 datasets, one committed episode after the other."""

import json
import os
import re
from pathlib import Path
from typing import Any

from robot_policy.core.files import write_json
from robot_policy.data.formats import lerobot_layout as common
from robot_policy.data.formats import lerobot_v21_layout as layout
from robot_policy.data.formats.lerobot_statistics import Statistics, to_lists
from robot_policy.data.formats.lerobot_writer import LeRobotWriter, task_texts
from robot_policy.data.recording import Description, Recording


class LeRobotV21Writer(LeRobotWriter):
    """Adds episodes to a dataset. Use `create` or `append`.

    Lines are appended before info.json counts them; what an interruption leaves beyond the count
    is cut off by the next writer.
    """

    @classmethod
    def create(cls, root: Path, description: Description) -> "LeRobotV21Writer":
        """Starts a dataset in a folder that is new or empty."""
        info = layout.info_json(description, episodes=0, frames=0, tasks=0)
        if spec := common.spec_json(description):
            write_json(root / common.SPEC, spec)
        write_json(root / common.INFO, info)
        return cls(root, description, tasks=[], episodes=0, frames=0)

    @classmethod
    def append(cls, root: Path, description: Description) -> "LeRobotV21Writer":
        """Goes on with a dataset; removes what an interrupted writer left.

        Raises:
            DataError: If the dataset is damaged.
        """
        info = layout.read_info(root)
        lines = layout.read_episodes(root, info)
        writer = cls(
            root,
            description,
            tasks=layout.read_tasks(root, info) if lines else [],
            episodes=len(lines),
            frames=sum(line["length"] for line in lines),
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
        for index in range(len(self._tasks), len(tasks)):
            self._append(layout.TASKS, {"task_index": index, "task": tasks[index]})
        line = {
            "episode_index": self._episodes,
            "tasks": task_texts(recording),
            "length": len(recording),
            # Not LeRobot's, which leaves them alone.
            "success": recording.success.value,
            "metadata": json.dumps(dict(recording.metadata), allow_nan=False),
        }
        self._append(layout.EPISODES, line)
        known = {"episode_index": self._episodes, "stats": to_lists(statistics)}
        self._append(layout.STATISTICS, known)
        info = layout.info_json(
            self._description,
            episodes=self._episodes + 1,
            frames=self._frames + len(recording),
            tasks=len(tasks),
        )
        write_json(self._root / common.INFO, info)

    def _append(self, name: str, line: dict[str, Any]) -> None:
        with (self._root / name).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(line, allow_nan=False, ensure_ascii=False) + "\n")

    def _remove_leftovers(self) -> None:
        _keep_lines(self._root / layout.TASKS, len(self._tasks))
        for name in (layout.EPISODES, layout.STATISTICS):
            _keep_lines(self._root / name, self._episodes)
        for pattern in ("data/*/*.parquet", "videos/*/*/*.mp4"):
            for path in self._root.glob(pattern):
                number = re.fullmatch(r"episode_(\d+)", path.stem)
                if number is not None and int(number.group(1)) >= self._episodes:
                    path.unlink()


def _keep_lines(path: Path, count: int) -> None:
    """Cuts a file off after its first `count` lines."""
    if not path.exists():
        return
    with path.open("rb") as stream:
        for _ in range(count):
            stream.readline()
        end = stream.tell()
    if end < path.stat().st_size:
        os.truncate(path, end)
