"""What a LeRobot v3.0 dataset says about its episodes and tasks, in parquet files."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from robot_policy.core.errors import DataError
from robot_policy.data.formats import lerobot_v3_layout as layout
from robot_policy.data.formats.lerobot_statistics import Statistics
from robot_policy.data.formats.parquet import read_table

_NEEDED = ("episode_index", "length", "data/chunk_index", "data/file_index")


def read_episode_table(
    root: Path, info: Mapping[str, Any], *, statistics: bool = False
) -> list[dict[str, Any]]:
    """Returns one row of meta/episodes per committed episode, in order.

    Numbers may be missing among them; the rows are as many as info.json says, all the same.

    Args:
        root: Dataset.
        info: Its info.json; says how many episodes are committed.
        statistics: Whether to read the statistics, too.

    Raises:
        DataError: If rows are missing or damaged.
    """
    total = info["total_episodes"]
    rows: list[dict[str, Any]] = []
    for path in sorted((root / "meta" / "episodes").glob("chunk-*/file-*.parquet")):
        if len(rows) >= total:
            break
        rows += _episode_rows(path, statistics=statistics)
    rows = rows[:total]
    previous = -1
    for row in rows:
        if row["episode_index"] <= previous:
            raise DataError(
                "the rows of the episodes are not in order",
                where=root / "meta/episodes",
                expected=f"more than {previous}",
                got=row["episode_index"],
            )
        previous = row["episode_index"]
    if len(rows) < total:
        raise DataError(f"no row for episode {len(rows)}", where=root / "meta/episodes")
    return rows


def _episode_rows(path: Path, *, statistics: bool) -> list[dict[str, Any]]:
    # Opening such a wide file takes longer than reading it, so it is opened once.
    table = read_table(path, but=None if statistics else "stats/")
    missing = [name for name in _NEEDED if name not in table.column_names]
    if missing:
        raise DataError(f"no column {missing[0]!r}", where=path, valid=table.column_names)
    rows = table.to_pylist()
    for row in rows:
        for name in _NEEDED:
            if not isinstance(row[name], int) or row[name] < 0:
                raise DataError(f"{name} is not a number", where=path, got=row[name])
    return rows


def row_statistics(row: Mapping[str, Any]) -> Statistics:
    """Returns the statistics in a row of meta/episodes.

    Raises:
        DataError: If one is not an array of numbers.
    """
    statistics: Statistics = {}
    for name, value in row.items():
        if name.startswith("stats/") and value is not None:
            key, _, statistic = name.removeprefix("stats/").rpartition("/")
            statistics.setdefault(key, {})[statistic] = _numbers(value, name)
    return statistics


def _numbers(value: Any, name: str) -> NDArray[Any]:
    try:
        array = np.array(value)
    except ValueError:  # of rows of different lengths
        array = np.array(None)
    if array.dtype.kind not in "biuf":
        raise DataError("not an array of numbers", where=f"meta/episodes, {name}", got=value)
    return array


def read_tasks(root: Path) -> list[str]:
    """Returns the instruction texts by task index.

    Raises:
        DataError: If the table is missing or damaged.
    """
    path = root / layout.TASKS
    table = read_table(path)
    # The text is pandas' index, whose column is called after it, or "__index_level_0__".
    texts = [field.name for field in table.schema if _is_text(field.type)]
    if len(texts) != 1 or "task_index" not in table.column_names:
        raise DataError("not a table of tasks", where=path, got=table.column_names)
    by_index = dict(zip(table["task_index"].to_pylist(), table[texts[0]].to_pylist(), strict=True))
    if sorted(by_index) != list(range(len(by_index))):
        raise DataError("task indices have gaps", where=path, got=sorted(by_index))
    return [by_index[index] for index in range(len(by_index))]


def task_table(tasks: Sequence[str]) -> pa.Table:
    """Table of tasks as pandas writes a frame that is indexed by the text."""

    def described(name: str, kind: str, dtype: str) -> dict[str, Any]:
        return {
            "name": name,
            "field_name": name,
            "pandas_type": kind,
            "numpy_type": dtype,
            "metadata": None,
        }

    about = {
        "index_columns": ["task"],
        "column_indexes": [],
        "columns": [
            described("task_index", "int64", "int64"),
            described("task", "unicode", "object"),
        ],
        "creator": {"library": "pyarrow", "version": pa.__version__},
        "pandas_version": "2.2.0",
    }
    table = pa.table(
        {
            "task_index": pa.array(np.arange(len(tasks), dtype=np.int64)),
            "task": pa.array(list(tasks), pa.string()),
        }
    )
    return table.replace_schema_metadata({"pandas": json.dumps(about)})


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)
