"""HDF5 files opened with errors that name them, as they were before an interrupted change."""

import json
import math
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from robot_policy.core.errors import DataError, RobotPolicyError
from robot_policy.data.formats.hdf5_heap import GuardedFile
from robot_policy.data.formats.undo_file import old_file

SIGNATURE = b"\x89HDF\r\n\x1a\n"
_LARGEST_READ_BYTES = 1 << 32
_FRAMES_AT_ONCE_BYTES = 1 << 22


def is_hdf5(path: Path) -> bool:
    """Whether `path` is an HDF5 file; reads next to nothing."""
    try:
        with path.open("rb") as stream:
            return stream.read(len(SIGNATURE)) == SIGNATURE
    except OSError:
        return False


@contextmanager
def naming(path: Path) -> Generator[None]:
    """Turns what reading a damaged HDF5 file raises into an error that names the file."""
    try:
        yield
    except RobotPolicyError:
        raise
    except FileNotFoundError as error:
        raise DataError("no such file", where=path) from error
    except Exception as error:  # h5py turns every error of the library into one of a dozen kinds
        words = str(error) or type(error).__name__
        raise DataError("not a readable HDF5 file", where=path, got=words) from error


@contextmanager
def open_hdf5(path: Path) -> Generator[h5py.File]:
    """Yields a file open for reading.

    Raises:
        DataError: If it is missing or damaged; also for what the block runs into.
    """
    with naming(path):
        stream = old_file(path) or path.open("rb", buffering=0)
        with GuardedFile(stream, path) as guarded, h5py.File(guarded, "r") as file:
            yield file


def group(parent: h5py.Group, name: str, *, where: object) -> h5py.Group:
    """Returns a group.

    Raises:
        DataError: If there is none of that name.
    """
    found = parent.get(name)
    if not isinstance(found, h5py.Group):
        raise DataError(f"no group {name!r}", where=where, valid=parent)
    return found


def dataset(parent: h5py.Group, name: str, *, where: object) -> h5py.Dataset:
    """Returns a dataset.

    Raises:
        DataError: If there is none of that name.
    """
    found = parent.get(name)
    if not isinstance(found, h5py.Dataset):
        raise DataError(f"no dataset {name!r}", where=where, valid=parent)
    return found


def values(data: h5py.Dataset, *, where: object) -> NDArray[Any]:
    """Returns what a dataset holds; texts as arrays of `str` objects.

    Raises:
        DataError: If it is too large to be right, or texts are not UTF-8.
    """
    if data.size is None or data.size * data.dtype.itemsize > _LARGEST_READ_BYTES:
        raise DataError("too large", where=f"{where}, {data.name}", got=data.shape)
    check_stored(data, where=where)
    if data.dtype.kind not in "SO":
        return data[()]
    try:
        cells = [c.decode() if isinstance(c, bytes) else str(c) for c in data[()].ravel().tolist()]
    except UnicodeDecodeError as error:
        raise DataError("not a text", where=f"{where}, {data.name}", got=error) from error
    return np.array(cells, dtype=object).reshape(data.shape)


def check_stored(data: h5py.Dataset, *, where: object) -> None:
    """Checks that all of a dataset is there: what is not, HDF5 hands out as zeros.

    Raises:
        DataError: If a part was never written, or damage has made the file forget it.
    """
    if not data.size or data.is_virtual:
        return
    expected = got = 1
    if data.chunks:
        expected = math.prod(-(-n // c) for n, c in zip(data.shape, data.chunks, strict=True))
        got = data.id.get_num_chunks()
    elif data.id.get_storage_size() == 0:
        got = 0
    if got < expected:
        raise DataError(
            "parts are missing", where=f"{where}, {data.name}", expected=expected, got=got
        )


def attributes(node: h5py.Group) -> dict[str, Any]:
    """Returns the attributes of a group that JSON can hold; bytes as texts."""
    found: dict[str, Any] = {}
    for name, value in node.attrs.items():
        if isinstance(value, bytes):
            value = value.decode(errors="replace")
        elif isinstance(value, np.ndarray | np.generic):
            value = value.tolist()
        if isinstance(value, str | int | float | bool | list):
            found[name] = value
    return found


def json_attribute(node: h5py.Group, name: str, *, where: object) -> Any:
    """Returns an attribute that holds JSON, None if there is none.

    Raises:
        DataError: If it is not JSON.
    """
    text = attributes(node).get(name)
    if text is None:
        return None
    try:
        return json.loads(text)
    except (ValueError, TypeError, RecursionError) as error:
        raise DataError(f"the attribute {name!r} is not JSON", where=where, got=error) from error


@dataclass(frozen=True, slots=True)
class Hdf5Frames:
    """Images of a dataset, read a few at a time; see `Frames`.

    Attributes:
        path: File.
        name: Of the dataset in the file.
        shape: (N, h, w, C).
        dtype: Of the pixels.
        channels_first: Whether the file holds (N, C, h, w).
    """

    path: Path
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    channels_first: bool = False

    def __iter__(self) -> Iterator[NDArray[Any]]:
        """Yields the images.

        Raises:
            DataError: If the file is damaged.
        """
        size = int(np.prod(self.shape[1:])) * self.dtype.itemsize
        step = max(1, _FRAMES_AT_ONCE_BYTES // size)
        with open_hdf5(self.path) as file:
            data = dataset(file, self.name, where=self.path)
            for start in range(0, self.shape[0], step):
                images = data[start : start + step]
                yield from images.transpose(0, 2, 3, 1) if self.channels_first else images
