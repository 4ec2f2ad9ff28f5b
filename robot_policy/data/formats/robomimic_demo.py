"""What demonstrations of an HDF5 file say about themselves, checked."""

from collections.abc import Iterator
from typing import Any

import h5py
import numpy as np

from robot_policy.core.errors import DataError
from robot_policy.data.formats.hdf5_file import check_stored


def num_samples(demo: h5py.Group, *, where: object) -> int:
    """Returns the number of frames that a demonstration says it has.

    Raises:
        DataError: If it does not say, or it is not a number.
    """
    count = demo.attrs.get("num_samples")
    if not isinstance(count, int | np.integer) or count < 1:
        raise DataError("num_samples is not a number of frames", where=where, got=count)
    return int(count)


def check_images(
    data: h5py.Dataset, shape: tuple[int, ...], dtype: np.dtype[Any], *, where: object
) -> None:
    """Checks images before anything is allocated for them.

    Raises:
        DataError: If they have another shape or type, or are not all there.
    """
    check_shape(data, shape, where=where)
    if data.dtype != dtype:
        raise DataError("wrong type", where=f"{where}, {data.name}", expected=dtype, got=data.dtype)
    check_stored(data, where=where)


def check_shape(data: h5py.Dataset, shape: tuple[int, ...], *, where: object) -> None:
    """Checks a dataset before anything is allocated for it.

    Raises:
        DataError: If it has another shape.
    """
    if data.shape != shape:
        raise DataError(
            "wrong shape", where=f"{where}, {data.name}", expected=shape, got=data.shape
        )


def missing_frames(data: h5py.Group) -> list[str]:
    """Returns a line if demonstrations have fewer frames than the file tells of.

    Args:
        data: Group with the demonstrations.
    """
    total = data.attrs.get("total")
    if not isinstance(total, int | np.integer):
        return []
    counts = (node.attrs.get("num_samples") for node in data.values())
    there = sum(int(count) for count in counts if isinstance(count, int | np.integer))
    if not 0 < there < total:  # robosuite's own recordings do not count their frames
        return []
    return [f"{total - there} of the {total} frames that the file tells of"]


def datasets(node: h5py.Group, prefix: str = "") -> Iterator[tuple[str, h5py.Dataset]]:
    """Yields all datasets of a demonstration with their names, in order."""
    for name in sorted(node):
        child = node.get(name)
        if isinstance(child, h5py.Group):
            yield from datasets(child, f"{prefix}{name}/")
        elif isinstance(child, h5py.Dataset):
            yield f"{prefix}{name}", child
