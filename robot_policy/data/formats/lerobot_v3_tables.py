"""The parquet files of a LeRobot v3.0 dataset, read with errors that name the file."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from robot_policy.core.errors import DataError
from robot_policy.data.formats import lerobot_v3_layout as layout

_NEEDED = ("episode_index", "length", "data/chunk_index", "data/file_index")


def read_table(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Reads a parquet file; columns that are not there are left out.

    Raises:
        DataError: If the file is missing or damaged.
    """
    try:
        with pq.ParquetFile(path) as file:
            names = file.schema_arrow.names
            chosen = names if columns is None else [name for name in columns if name in names]
            return file.read(columns=chosen, use_threads=False)
    except FileNotFoundError as error:
        raise DataError("no such file", where=path) from error
    except (pa.ArrowException, OSError) as error:
        raise DataError("not a readable parquet file", where=path, got=error) from error


def column(table: pa.Table, name: str, *, size: int, where: Path) -> NDArray[Any]:
    """Returns a numeric column as (N,) if `size` is 1, else (N, size).

    Raises:
        DataError: If it is missing, holds nulls or is of another size.
    """
    if name not in table.column_names:
        raise DataError(f"no column {name!r}", where=where, valid=table.column_names)
    chunked = table.column(name)
    if isinstance(chunked.type, pa.ExtensionType) or chunked.null_count:
        raise DataError(f"{name} holds nulls or arrays of several axes", where=where)
    flat = chunked.combine_chunks()
    rows = len(flat)
    while pa.types.is_list(flat.type) or pa.types.is_fixed_size_list(flat.type):
        flat = flat.flatten()
    values = flat.to_numpy(zero_copy_only=False)
    if len(values) != rows * size:
        raise DataError(
            f"{name} has a wrong size", where=where, expected=rows * size, got=len(values)
        )
    return values if size == 1 else values.reshape(rows, size)


def read_episode_table(
    root: Path, info: Mapping[str, Any], *, statistics: bool = False
) -> list[dict[str, Any]]:
    """Returns one row of meta/episodes per committed episode, in order.

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
    for index in range(total):
        if index >= len(rows) or rows[index]["episode_index"] != index:
            raise DataError(f"no row for episode {index}", where=root / "meta/episodes")
    return rows


def _episode_rows(path: Path, *, statistics: bool) -> list[dict[str, Any]]:
    try:
        names = pq.read_schema(path).names
    except (pa.ArrowException, OSError) as error:
        raise DataError("not a readable parquet file", where=path, got=error) from error
    missing = [name for name in _NEEDED if name not in names]
    if missing:
        raise DataError(f"no column {missing[0]!r}", where=path, valid=names)
    wanted = [name for name in names if statistics or not name.startswith("stats/")]
    return read_table(path, wanted).to_pylist()


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
