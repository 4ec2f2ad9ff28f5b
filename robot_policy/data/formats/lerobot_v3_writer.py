"""Writes LeRobot v3.0 datasets, one committed episode after the other.

Every episode has files of its own, and info.json, which says how many episodes there are, is
replaced last. Whatever interrupts the writer, files beyond that count are leftovers: readers look
at the first ``total_episodes`` only, and the next writer removes the rest.
"""

import json
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from robot_policy.core.episode import Episode, Success
from robot_policy.core.errors import DataError, SpecError
from robot_policy.core.files import write_json
from robot_policy.core.observation import ACTION, ENVIRONMENT_STATE, STATE, image_key
from robot_policy.core.specs import ArraySpec, PolicySpec
from robot_policy.data.finite import require_finite
from robot_policy.data.formats import lerobot_v3_layout as layout
from robot_policy.data.formats.lerobot_v3_tables import read_episode_table, read_tasks, task_table
from robot_policy.data.formats.video import write_video
from robot_policy.data.statistics import (
    FeatureStatistics,
    image_statistics,
    merge_statistics,
    vector_statistics,
)


class LeRobotV3Writer:
    """Adds episodes to a dataset. Use `create` or `append`.

    Args:
        root: Folder of the dataset.
        spec: What every episode holds.
        tasks: Instruction texts so far, by task index.
        episodes: Committed so far.
        frames: In them.
        statistics: Of them.
    """

    def __init__(
        self,
        root: Path,
        spec: PolicySpec,
        *,
        tasks: list[str],
        episodes: int,
        frames: int,
        statistics: dict[str, FeatureStatistics],
    ) -> None:
        self._root = root
        self._spec = spec
        self._schema = layout.arrow_schema(spec)
        self._tasks = tasks
        self._frames = frames
        self._statistics = statistics
        self.episodes = episodes

    @classmethod
    def create(cls, root: Path, spec: PolicySpec) -> "LeRobotV3Writer":
        """Starts a dataset in a folder that is new or empty."""
        info = layout.info_of(spec, episodes=0, frames=0, tasks=0)
        write_json(root / layout.SPEC, _without_window(spec).to_json())
        write_json(root / layout.INFO, info)
        return cls(root, spec, tasks=[], episodes=0, frames=0, statistics={})

    @classmethod
    def append(cls, root: Path, spec: PolicySpec) -> "LeRobotV3Writer":
        """Goes on with a dataset; removes what an interrupted writer left.

        Raises:
            DataError: If the dataset is damaged or was not written by this project.
            SpecError: If it has another spec.
        """
        info = layout.read_info(root)
        if not (root / layout.SPEC).exists():
            raise DataError(
                "cannot append: units and action space of this dataset are not known",
                where=root,
                expected=layout.SPEC,
            )
        before = layout.read_spec(root, info).to_json()
        for key, value in _without_window(spec).to_json().items():
            if before[key] != value:
                raise SpecError(
                    f"another {key} than the dataset's", where=root, expected=before[key], got=value
                )
        rows = read_episode_table(root, info, statistics=True)
        remove_leftovers(root, committed=len(rows))
        parts = [_episode_statistics(row) for row in rows]
        return cls(
            root,
            spec,
            tasks=read_tasks(root)[: info["total_tasks"]] if rows else [],
            episodes=len(rows),
            frames=sum(row["length"] for row in rows),
            statistics=reduce(_merge, parts, {}),
        )

    def add(self, episode: Episode) -> None:
        """Writes an episode; it is part of the dataset when this returns.

        Raises:
            SpecError: If it does not fit the spec.
            DataError: If a value is not finite.
        """
        check_episode(episode, self._spec, where=f"episode {self.episodes}")
        columns = self._columns(episode)
        statistics = {key: vector_statistics(values) for key, values in columns.items()}
        for camera in self._spec.cameras:
            frames = episode.images[camera]
            statistics[image_key(camera)] = image_statistics(frames)
            self._commit(
                layout.VIDEO_PATH.format(
                    video_key=image_key(camera), **layout.place(self.episodes)
                ),
                lambda path, frames=frames: write_video(path, frames, layout.rate_hz(self._spec)),
            )
        place = layout.place(self.episodes)
        table = _data_table(columns, self._schema)
        self._commit(layout.DATA_PATH.format(**place), lambda path: pq.write_table(table, path))
        tasks = self._tasks if episode.task in self._tasks else [*self._tasks, episode.task]
        self._commit(layout.TASKS, lambda path: pq.write_table(task_table(tasks), path))
        row = pa.Table.from_pylist([self._episode_row(episode, statistics)])
        self._commit(layout.EPISODES_PATH.format(**place), lambda path: _write_row(path, row))
        merged = _merge(self._statistics, statistics)
        write_json(self._root / layout.STATS, _to_lists(merged))
        counts = {"episodes": self.episodes + 1, "frames": self._frames + len(episode)}
        info = layout.info_of(self._spec, **counts, tasks=len(tasks))
        write_json(self._root / layout.INFO, info)
        self.episodes, self._frames = counts["episodes"], counts["frames"]
        self._tasks, self._statistics = tasks, merged

    def _columns(self, episode: Episode) -> dict[str, NDArray[Any]]:
        length = len(episode)
        task_index = len(self._tasks)
        if episode.task in self._tasks:
            task_index = self._tasks.index(episode.task)
        frame_index = np.arange(length, dtype=np.int64)
        done = frame_index == length - 1
        columns: dict[str, NDArray[Any]] = {STATE: episode.state, ACTION: episode.actions}
        if episode.environment_state is not None:
            columns[ENVIRONMENT_STATE] = episode.environment_state
        return columns | {
            layout.STAMP: episode.stamps_ns,
            layout.REWARD: episode.rewards,
            layout.DONE: done,
            layout.SUCCESS: done & (episode.success == Success.YES),
            "timestamp": (frame_index / layout.rate_hz(self._spec)).astype(np.float32),
            "frame_index": frame_index,
            "episode_index": np.full(length, self.episodes, dtype=np.int64),
            "index": frame_index + self._frames,
            "task_index": np.full(length, task_index, dtype=np.int64),
        }

    def _episode_row(
        self, episode: Episode, statistics: Mapping[str, FeatureStatistics]
    ) -> dict[str, Any]:
        place, length = layout.place(self.episodes), len(episode)
        row: dict[str, Any] = {
            "episode_index": self.episodes,
            "tasks": [episode.task],
            "length": length,
            "dataset_from_index": self._frames,
            "dataset_to_index": self._frames + length,
            # Not LeRobot's, which leaves them alone.
            "success": episode.success.value,
            "metadata": json.dumps(dict(episode.metadata), allow_nan=False),
        }
        for prefix in ("data", "meta/episodes"):
            row |= {f"{prefix}/{key}": value for key, value in place.items()}
        for camera in self._spec.cameras:
            times = {"from_timestamp": 0.0, "to_timestamp": length / layout.rate_hz(self._spec)}
            prefix = f"videos/{image_key(camera)}"
            row |= {f"{prefix}/{key}": value for key, value in (place | times).items()}
        for key, values in statistics.items():
            row |= {f"stats/{key}/{name}": value.tolist() for name, value in values.items()}
        return row

    def _commit(self, name: str, write: Callable[[Path], None]) -> None:
        """Lets `write` write a file in the staging folder and moves it to its place."""
        staged, target = self._root / layout.STAGING / Path(name).name, self._root / name
        for path in (staged, target):
            path.parent.mkdir(parents=True, exist_ok=True)
        write(staged)
        staged.replace(target)

    def close(self) -> None:
        """Removes what is not part of the dataset."""
        remove_leftovers(self._root, committed=self.episodes)


def remove_leftovers(root: Path, *, committed: int) -> None:
    """Removes files that an interrupted writer left beyond the committed episodes."""
    shutil.rmtree(root / layout.STAGING, ignore_errors=True)
    for temporary in (root / "meta").glob(".*.json.*"):
        temporary.unlink()
    for pattern in ("data/*/*.parquet", "meta/episodes/*/*.parquet", "videos/*/*/*.mp4"):
        for path in root.glob(pattern):
            number = re.fullmatch(r"chunk-(\d+)/file-(\d+)", f"{path.parent.name}/{path.stem}")
            if number is None:
                continue
            chunk, file = map(int, number.groups())
            if chunk * layout.FILES_PER_CHUNK + file >= committed:
                path.unlink()


def check_episode(episode: Episode, spec: PolicySpec, *, where: str) -> None:
    """Checks that an episode is what `spec` says and can be stored.

    Raises:
        SpecError: If a shape, a type, the cameras or the metadata are wrong.
        DataError: If a value is not finite.
    """
    vectors = {STATE: (spec.state, episode.state), ACTION: (spec.action, episode.actions)}
    if (spec.environment_state is None) != (episode.environment_state is None):
        has = episode.environment_state is not None
        raise SpecError(
            "must be there in every episode or in none",
            where=f"{where}, {ENVIRONMENT_STATE}",
            got="there" if has else "missing",
        )
    if spec.environment_state is not None and episode.environment_state is not None:
        vectors[ENVIRONMENT_STATE] = (spec.environment_state, episode.environment_state)
    for key, (array_spec, values) in vectors.items():
        _check_array(array_spec, values, where=f"{where}, {key}")
        require_finite(values, where=where, feature=key, names=array_spec.names)
    require_finite(episode.rewards, where=where, feature=layout.REWARD)
    if set(episode.images) != set(spec.cameras):
        raise SpecError(
            "other cameras", where=where, expected=sorted(spec.cameras), got=sorted(episode.images)
        )
    for camera, image in spec.cameras.items():
        _check_array(image, episode.images[camera], where=f"{where}, {image_key(camera)}")
    try:
        json.dumps(dict(episode.metadata), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise SpecError("metadata is not JSON", where=where, got=error) from error


def _check_array(spec: ArraySpec, values: NDArray[Any], *, where: str) -> None:
    if values.shape[1:] != spec.shape or values.dtype != np.dtype(spec.dtype):
        raise SpecError(
            "does not fit the spec",
            where=where,
            expected=f"{spec.dtype} (T, {', '.join(map(str, spec.shape))})",
            got=f"{values.dtype} {values.shape}",
        )


def _without_window(spec: PolicySpec) -> PolicySpec:
    return replace(spec, history=1, horizon=1, past=0, needs_instruction=False)


def _data_table(columns: Mapping[str, NDArray[Any]], schema: pa.Schema) -> pa.Table:
    arrays: list[pa.Array] = []
    for field in schema:
        values = pa.array(columns[field.name].reshape(-1))
        if pa.types.is_fixed_size_list(field.type):
            values = pa.FixedSizeListArray.from_arrays(values, field.type.list_size)
        arrays.append(values.cast(field.type))
    return pa.Table.from_arrays(arrays, schema=schema)


def _write_row(path: Path, row: pa.Table) -> None:
    # A hundred columns of one row: parquet's own statistics and dictionaries would outweigh them.
    pq.write_table(row, path, use_dictionary=False, write_statistics=False, store_schema=False)


def _merge(
    a: Mapping[str, FeatureStatistics], b: Mapping[str, FeatureStatistics]
) -> dict[str, FeatureStatistics]:
    return {key: merge_statistics([a[key], new]) if key in a else new for key, new in b.items()}


def _episode_statistics(row: Mapping[str, Any]) -> dict[str, FeatureStatistics]:
    statistics: dict[str, FeatureStatistics] = {}
    for column, value in row.items():
        if column.startswith("stats/"):
            key, _, name = column.removeprefix("stats/").rpartition("/")
            statistics.setdefault(key, {})[name] = np.array(value)
    return statistics


def _to_lists(statistics: Mapping[str, FeatureStatistics]) -> dict[str, dict[str, Any]]:
    return {key: {n: v.tolist() for n, v in stats.items()} for key, stats in statistics.items()}
