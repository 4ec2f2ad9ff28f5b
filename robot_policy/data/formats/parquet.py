"""Parquet files, read with errors that name the file, and their columns as arrays of any shape."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from robot_policy.core.errors import DataError, RobotPolicyError
from robot_policy.data.recording import STRING, Feature

type Lists = pa.ListType | pa.FixedSizeListType | pa.LargeListType


@contextmanager
def naming(path: Path) -> Generator[None]:
    """Turns what reading a damaged parquet file raises into an error that names the file.

    Raises:
        DataError: Likewise, for a file that is missing.
    """
    try:
        yield
    except RobotPolicyError:
        raise
    except FileNotFoundError as error:
        raise DataError("no such file", where=path) from error
    except (pa.ArrowException, OSError, ValueError, KeyError, MemoryError, IndexError) as error:
        words = str(error) or type(error).__name__
        raise DataError("not a readable parquet file", where=path, got=words) from error


def read_table(
    path: Path, columns: Sequence[str] | None = None, *, but: str | None = None
) -> pa.Table:
    """Reads a parquet file; columns that are not there are left out.

    Args:
        path: File.
        columns: Which columns, all if None.
        but: Not those whose names begin like this.

    Raises:
        DataError: If the file is missing or damaged.
    """
    with naming(path), pq.ParquetFile(path, page_checksum_verification=True) as file:
        names = file.schema_arrow.names
        chosen = names if columns is None else [name for name in columns if name in names]
        if but is not None:
            chosen = [name for name in chosen if not name.startswith(but)]
        return file.read(columns=chosen, use_threads=False)


def write_table(table: pa.Table, path: Path, **options: Any) -> None:
    """Writes a parquet file whose pages carry checksums, so that damage does not go unnoticed."""
    pq.write_table(table, path, write_page_checksum=True, **options)


def column(
    table: pa.Table, name: str, *, shape: tuple[int, ...], where: object, dtype: str | None = None
) -> NDArray[Any]:
    """Returns a column as an array (N, *shape).

    Args:
        table: N rows.
        name: Of the column.
        shape: Of one row.
        where: File, named in the error.
        dtype: Type it must have, or fit into without loss; any if None.

    Raises:
        DataError: If it is missing, holds nulls, or is of another shape or type.
    """
    if name not in table.column_names:
        raise DataError(f"no column {name!r}", where=where, valid=table.column_names)
    values = _flat(table.column(name), f"{where}, {name}")
    if len(values) != len(table) * int(np.prod(shape)):
        got = len(values) / max(len(table), 1)
        raise DataError(f"{name} has a wrong size", where=where, expected=shape, got=f"{got:g}")
    if dtype == STRING and values.dtype != object:
        raise DataError(f"{name} has a wrong type", where=where, expected=dtype, got=values.dtype)
    if dtype is not None and dtype != STRING and values.dtype != np.dtype(dtype):
        if values.dtype == object or not np.can_cast(values.dtype, dtype, "safe"):
            raise DataError(
                f"{name} has a wrong type", where=where, expected=dtype, got=values.dtype
            )
        values = values.astype(dtype)
    return values.reshape(len(table), *shape)


def _flat(chunked: pa.ChunkedArray, where: str) -> NDArray[Any]:
    array = chunked.combine_chunks()
    if isinstance(array, pa.ChunkedArray):  # no chunk at all, or more than one can hold
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], array.type)
    while True:
        if isinstance(array, pa.ExtensionArray):
            array = array.storage
        if array.null_count:
            raise DataError("holds nulls", where=where)
        if not isinstance(array.type, pa.ListType | pa.FixedSizeListType | pa.LargeListType):
            return array.to_numpy(zero_copy_only=False)
        array = array.flatten()


def arrow_type(feature: Feature) -> pa.DataType:
    """Type of the column that holds a feature: plain for a scalar, else nested lists."""
    kinds = {STRING: pa.string(), "bool": pa.bool_(), "float16": pa.float16()}
    kind = kinds.get(feature.dtype) or getattr(pa, feature.dtype)()
    if feature.shape == (1,):
        return kind
    if len(feature.shape) == 1:
        return pa.list_(kind, feature.shape[0])
    for _ in feature.shape:
        kind = pa.list_(kind)
    return kind


def arrow_array(values: NDArray[Any], kind: pa.DataType) -> pa.Array:
    """Returns an array (N, *shape) as a column of `arrow_type`."""
    flat = values.reshape(-1)
    array = pa.array(flat.tolist() if flat.dtype == object else flat)
    for size in reversed(values.shape[1:] if isinstance(kind, pa.ListType) else ()):
        offsets = np.arange(0, len(array) + 1, size, dtype=np.int32)
        array = pa.ListArray.from_arrays(pa.array(offsets), array)
    if isinstance(kind, pa.FixedSizeListType):
        array = pa.FixedSizeListArray.from_arrays(array, kind.list_size)
    return array.cast(kind)
