"""A guard against damage in HDF5 files that makes the HDF5 library loop for ever.

Texts of HDF5 files lie in heaps, "global heap collections". The library walks through one from
object to object by their sizes; where damage has left a size of zero, it never arrives. So each
collection is looked at when it is read for the first time, and a damaged one is an error.
"""

import io
import os
import re
import struct
from pathlib import Path
from typing import Any

from robot_policy.core.errors import DataError

_COLLECTION = re.compile(rb"GCOL\x01\0\0\0")
_SIZE = struct.Struct("<Q")
_OBJECT = struct.Struct("<HHIQ")  # index, references, reserved, size
_HEAD_BYTES = 16  # signature, version and size of a collection
_LARGEST_LOOK_BYTES = 1 << 16
_LARGEST_BYTES = 1 << 28


class GuardedFile(io.RawIOBase):
    """A file for HDF5 to read from, whose heaps are checked on the way.

    Args:
        file: Open for reading.
        path: Named in the error.
    """

    def __init__(self, file: io.RawIOBase, path: Path) -> None:
        self._file = file
        self._path = path
        self._checked: set[int] = set()

    def readable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """True."""
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Reads at the current position.

        Raises:
            DataError: If what is read is a damaged heap.
        """
        start = self._file.tell()
        count = self._file.readinto(buffer) or 0
        # The library takes a look at the beginning of a collection before it reads more.
        looked_at = memoryview(buffer)[:count] if count <= _LARGEST_LOOK_BYTES else b""
        for found in _COLLECTION.finditer(looked_at):
            place = start + found.start()
            if place not in self._checked:
                self._check(place)
                self._file.seek(start + count)
                self._checked.add(place)
        return count

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Moves the position."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """The current position."""
        return self._file.tell()

    def close(self) -> None:
        """Closes the file."""
        self._file.close()
        super().close()

    def _check(self, place: int) -> None:
        """Walks through a collection as the library would."""
        head = self._read(place, _HEAD_BYTES)
        if len(head) < _HEAD_BYTES:
            raise self._damaged(place)
        (size,) = _SIZE.unpack_from(head, _HEAD_BYTES - _SIZE.size)
        heap = self._read(place, min(size, _LARGEST_BYTES))
        if len(heap) < max(size, _HEAD_BYTES):
            raise self._damaged(place)
        at = _HEAD_BYTES
        while at + _OBJECT.size <= size:
            index, _, _, length = _OBJECT.unpack_from(heap, at)
            # The free space, number 0, counts its own head; the others are padded to 8 bytes.
            needed = length if index == 0 else _OBJECT.size + -(-length // 8) * 8
            if needed < _OBJECT.size or at + needed > size:
                raise self._damaged(place)
            at += needed

    def _read(self, place: int, size: int) -> bytes:
        self._file.seek(place)
        return self._file.read(size) or b""

    def _damaged(self, place: int) -> DataError:
        return DataError("not a readable HDF5 file", where=self._path, got=f"a heap at {place}")
