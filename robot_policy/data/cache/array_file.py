"""One large array in a .npy file: written in pieces by several threads, then mapped."""

import os
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray


class ArrayFileWriter:
    """Writes rows of an array of known size, in any order.

    Not through a memory map, because a disk that fills up would then kill the process; here it is
    an `OSError`.

    Args:
        path: File to create.
        shape: (N, ...) of the whole array.
        dtype: Of its entries.
    """

    def __init__(self, path: Path, *, shape: tuple[int, ...], dtype: DTypeLike) -> None:
        self._dtype = np.dtype(dtype)
        self._row = self._dtype.itemsize * int(np.prod(shape[1:], dtype=np.int64))
        self._file = path.open("wb")
        header = {
            "descr": np.lib.format.dtype_to_descr(self._dtype),
            "fortran_order": False,
            "shape": shape,
        }
        np.lib.format.write_array_header_1_0(self._file, header)
        self._file.flush()
        self._start = self._file.tell()
        self._file.truncate(self._start + shape[0] * self._row)

    def write(self, first: int, rows: NDArray[Any]) -> None:
        """Writes rows from `first` on; threads may write different rows at once."""
        data = memoryview(np.ascontiguousarray(rows, dtype=self._dtype)).cast("B")
        place = self._start + first * self._row
        while data:
            done = os.pwrite(self._file.fileno(), data, place)
            data, place = data[done:], place + done

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()


def map_array(path: Path) -> NDArray[Any]:
    """Maps an array file, read-only.

    Raises:
        OSError: If the file is missing.
        ValueError: If it is damaged or truncated.
    """
    # A plain view of the map: slices of numpy's own class of it take ten times as long to make.
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False).view(np.ndarray)
    except EOFError as error:
        raise ValueError("an empty file") from error
