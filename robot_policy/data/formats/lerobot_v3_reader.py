"""Reads LeRobot v3.0 datasets, this project's and others'."""

import json
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from robot_policy.core.episode import Episode, Success
from robot_policy.core.errors import DataError, SpecError, UnknownNameError
from robot_policy.core.observation import ACTION, ENVIRONMENT_STATE, STATE
from robot_policy.core.specs import PolicySpec
from robot_policy.data.finite import require_finite
from robot_policy.data.formats import lerobot_v3_layout as layout
from robot_policy.data.formats.lerobot_v3_tables import (
    column,
    read_episode_table,
    read_table,
    read_tasks,
)
from robot_policy.data.formats.video import decode_image, read_video


class LeRobotV3Reader:
    """The committed episodes of a dataset.

    Args:
        root: Folder of the dataset.
        cameras: Whose images to decode; all of them if None.

    Raises:
        UnknownNameError: If there is no such camera.
        DataError: If the description of the dataset is missing or damaged.
    """

    def __init__(self, root: Path, cameras: Collection[str] | None) -> None:
        self._root = root
        self._info = layout.read_info(root)
        self._spec = layout.read_spec(root, self._info)
        keys = layout.camera_keys(self._info)
        for camera in cameras or ():
            if camera not in keys:
                raise UnknownNameError(f"no camera {camera!r}", where=root, valid=keys)
        self._cameras = keys if cameras is None else {c: keys[c] for c in cameras}
        self._rows = read_episode_table(root, self._info)
        self._tasks = read_tasks(root) if self._rows else []
        self._table: tuple[Path, pa.Table] | None = None

    def __iter__(self) -> Iterator[Episode]:
        return (self._episode(row) for row in self._rows)

    def _episode(self, row: Mapping[str, Any]) -> Episode:
        path = self._path("data_path", layout.DATA_PATH, row, "data")
        index, length = row["episode_index"], row["length"]
        where = f"{path}, episode {index}"
        table = self._rows_of(path, index)
        if len(table) != length:
            raise DataError("wrong number of frames", where=where, expected=length, got=len(table))
        vectors = self._vectors(table, path, where)
        rewards = self._optional(table, layout.REWARD, path)
        if rewards is None:
            rewards = np.zeros(length)
        require_finite(rewards, where=where, feature=layout.REWARD)
        try:
            return Episode(
                stamps_ns=self._stamps(table, path),
                state=vectors[STATE],
                actions=vectors[ACTION],
                task=self._task(table, path),
                rewards=rewards.astype(np.float32),
                success=self._success(row, table, path),
                environment_state=vectors.get(ENVIRONMENT_STATE),
                images={
                    camera: self._frames(key, row, table, where=where)
                    for camera, key in self._cameras.items()
                },
                metadata=_metadata(row, where),
            )
        except SpecError as error:
            raise DataError("not a valid episode", where=where, got=error) from error

    def _rows_of(self, path: Path, index: int) -> pa.Table:
        """Frames of one episode; the last file stays open, as it may hold the next one, too."""
        if self._table is None or self._table[0] != path:
            images = [k for k, f in self._info["features"].items() if f["dtype"] == "image"]
            wanted = [STATE, ACTION, ENVIRONMENT_STATE, layout.STAMP, layout.REWARD, layout.SUCCESS]
            wanted += [*layout.BOOKKEEPING, *(k for k in images if k in self._cameras.values())]
            self._table = path, read_table(path, wanted)
        table = self._table[1]
        mine = column(table, "episode_index", size=1, where=path) == index
        return table if mine.all() else table.filter(pa.array(mine))

    def _vectors(self, table: pa.Table, path: Path, where: str) -> dict[str, NDArray[np.float32]]:
        specs = {STATE: self._spec.state, ACTION: self._spec.action}
        if self._spec.environment_state is not None:
            specs[ENVIRONMENT_STATE] = self._spec.environment_state
        vectors: dict[str, NDArray[np.float32]] = {}
        for key, spec in specs.items():
            values = column(table, key, size=spec.size, where=path).reshape(len(table), spec.size)
            require_finite(values, where=where, feature=key, names=spec.names)
            vectors[key] = values.astype(np.float32, copy=False)
        return vectors

    def _optional(self, table: pa.Table, key: str, path: Path) -> NDArray[Any] | None:
        return column(table, key, size=1, where=path) if key in table.column_names else None

    def _stamps(self, table: pa.Table, path: Path) -> NDArray[np.int64]:
        stamps = self._optional(table, layout.STAMP, path)
        if stamps is not None:
            return stamps.astype(np.int64)
        period_ns = 1e9 / self._info["fps"]
        return np.round(np.arange(len(table)) * period_ns).astype(np.int64)

    def _task(self, table: pa.Table, path: Path) -> str:
        index = int(column(table, "task_index", size=1, where=path)[0])
        if not 0 <= index < len(self._tasks):
            raise DataError(
                f"no task {index}", where=path, expected=f"less than {len(self._tasks)}"
            )
        return self._tasks[index]

    def _success(self, row: Mapping[str, Any], table: pa.Table, path: Path) -> Success:
        if row.get("success") in list(Success):
            return Success(row["success"])
        flags = self._optional(table, layout.SUCCESS, path)
        if flags is None:
            return Success.UNKNOWN
        return Success.YES if flags.any() else Success.NO

    def _frames(
        self, key: str, row: Mapping[str, Any], table: pa.Table, *, where: str
    ) -> NDArray[np.uint8]:
        feature = self._info["features"][key]
        if feature["dtype"] == "image":
            return _embedded_images(table, key, layout.image_size(feature), where=where)
        rate = float(self._info["fps"])
        path = self._path("video_path", layout.VIDEO_PATH, row, f"videos/{key}", video_key=key)
        start_s = row.get(f"videos/{key}/from_timestamp")
        if start_s is None:
            raise DataError(f"no column 'videos/{key}/from_timestamp'", where=where)
        return read_video(
            path,
            shape=layout.image_size(feature),
            rate_hz=rate,
            first=round(start_s * rate),
            count=row["length"],
        )

    def _path(
        self, template: str, default: str, row: Mapping[str, Any], prefix: str, **names: str
    ) -> Path:
        numbers = {name: row.get(f"{prefix}/{name}") for name in ("chunk_index", "file_index")}
        try:
            name = (self._info.get(template) or default).format(**names, **numbers)
        except (KeyError, IndexError, ValueError, TypeError) as error:
            raise DataError(
                f"{template} cannot be filled in", where=self._root / layout.INFO, got=error
            ) from error
        return self._root / name


def read_spec(root: Path) -> PolicySpec:
    """Returns what the dataset holds."""
    return layout.read_spec(root, layout.read_info(root))


def _embedded_images(
    table: pa.Table, key: str, size: tuple[int, int], *, where: str
) -> NDArray[np.uint8]:
    if key not in table.column_names:
        raise DataError(f"no column {key!r}", where=where, valid=table.column_names)
    frames = np.empty((len(table), *size, 3), dtype=np.uint8)
    for index, stored in enumerate(table.column(key).to_pylist()):
        place = f"{where}, {key}, frame {index}"
        data = stored.get("bytes") if isinstance(stored, dict) else None
        if data is None:
            raise DataError("the image is not in the file", where=place)
        image = decode_image(data, where=place)
        if image.shape[:2] != size:
            raise DataError("wrong image size", where=place, expected=size, got=image.shape[:2])
        frames[index] = image
    return frames


def _metadata(row: Mapping[str, Any], where: str) -> dict[str, Any]:
    text = row.get("metadata")
    if not isinstance(text, str):
        return {}
    try:
        data = json.loads(text)
    except ValueError as error:
        raise DataError("metadata is not JSON", where=where, got=error) from error
    return data if isinstance(data, dict) else {"metadata": data}
