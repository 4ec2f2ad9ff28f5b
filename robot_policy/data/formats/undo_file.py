"""A file that is changed in place, and is what it was before if the change does not come to an end.

HDF5 writes into the middle of its file; a kill would leave it unreadable. So before a byte of the
old file is overwritten, it is kept in a second file beside it, `.<name>.undo`. When the change is
complete, that file is removed, which is the moment it counts. As long as it is there, readers see
the old bytes, and the next writer puts them back.
"""

import io
import os
import struct
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_HEAD = struct.Struct("<8sQ")
_ENTRY = struct.Struct("<QQ")
_MAGIC = b"RPUNDO1\n"

type Entries = list[tuple[int, bytes]]
"""Place of old bytes and the bytes, in the order in which they were kept."""


def undo_path(path: Path) -> Path:
    """Where the old bytes of `path` are kept while it is changed."""
    return path.with_name(f".{path.name}.undo")


class ChangingFile(io.RawIOBase):
    """A file open for a change that is undone unless `commit` is reached.

    Args:
        path: An existing file; what an interrupted change left is put back first.
    """

    def __init__(self, path: Path) -> None:
        restore(path)
        self._undo_path = undo_path(path)
        self._file = os.open(path, os.O_RDWR)
        self._old_size = os.fstat(self._file).st_size
        self._kept: list[tuple[int, int]] = []
        self._undo = os.open(self._undo_path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o666)
        self._undo_size = 0
        self._keep(_HEAD.pack(_MAGIC, self._old_size))
        self._position = 0

    def commit(self) -> None:
        """Makes the change count."""
        self._undo_path.unlink()

    def readable(self) -> bool:
        """True."""
        return True

    def writable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """True."""
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Reads at the current position."""
        view = memoryview(buffer).cast("B")
        data = os.pread(self._file, len(view), self._position)
        view[: len(data)] = data
        self._position += len(data)
        return len(data)

    def write(self, data: Any, /) -> int:
        """Writes at the current position, after keeping what was there."""
        view = memoryview(data).cast("B")
        self._keep_old(self._position, self._position + len(view))
        done = 0
        while done < len(view):
            done += os.pwrite(self._file, view[done:], self._position + done)
        self._position += done
        return done

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Moves the position."""
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position}
        base = os.fstat(self._file).st_size if whence == os.SEEK_END else start[whence]
        self._position = base + offset
        return self._position

    def tell(self) -> int:
        """The current position."""
        return self._position

    def truncate(self, size: int | None = None, /) -> int:
        """Cuts off or extends the file, after keeping what is cut off."""
        size = self._position if size is None else size
        self._keep_old(size, self._old_size)
        os.ftruncate(self._file, size)
        return size

    def close(self) -> None:
        """Closes the file; without `commit`, the change is undone by whoever opens it next."""
        if not self.closed:
            os.close(self._file)
            os.close(self._undo)
        super().close()

    def _keep_old(self, start: int, end: int) -> None:
        """Keeps the bytes from `start` to `end` that were there before and are not kept yet."""
        end = min(end, self._old_size)
        for kept_start, kept_end in self._kept:
            if kept_start <= start and end <= kept_end:
                return
        if start >= end:
            return
        old = os.pread(self._file, end - start, start)
        self._keep(_ENTRY.pack(start, len(old)) + old)
        self._kept.append((start, end))

    def _keep(self, data: bytes) -> None:
        done = 0
        while done < len(data):
            done += os.pwrite(self._undo, data[done:], self._undo_size + done)
        self._undo_size += done


class OldFile(io.RawIOBase):
    """A file as it was before the change that is going on or was interrupted; for reading."""

    def __init__(self, path: Path, old_size: int, entries: Entries) -> None:
        self._file = path.open("rb", buffering=0)
        self._size = old_size
        self._entries = entries
        self._position = 0

    def readable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """True."""
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Reads at the current position."""
        view = memoryview(buffer).cast("B")
        count = max(0, min(len(view), self._size - self._position))
        self._file.seek(self._position)
        data = self._file.read(count)
        # What lies beyond the end now was cut off, and is among the entries.
        view[:count] = data.ljust(count, b"\0")
        for start, old in reversed(self._entries):
            first = max(start, self._position)
            last = min(start + len(old), self._position + count)
            if first < last:
                piece = old[first - start : last - start]
                view[first - self._position : last - self._position] = piece
        self._position += count
        return count

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Moves the position."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        self._position = base + offset
        return self._position

    def tell(self) -> int:
        """The current position."""
        return self._position

    def close(self) -> None:
        """Closes the file."""
        self._file.close()
        super().close()


@contextmanager
def changing(path: Path) -> Generator[ChangingFile]:
    """Yields `path` open for a change that counts if the block ends well, and else is undone."""
    file = ChangingFile(path)
    try:
        yield file
        file.commit()
    finally:
        file.close()
        restore(path)


def old_file(path: Path) -> OldFile | None:
    """Returns `path` as it was before an interrupted change; None if there was none."""
    change = _read_undo(undo_path(path))
    return None if change is None else OldFile(path, *change)


def restore(path: Path) -> None:
    """Undoes a change that was interrupted."""
    undo = undo_path(path)
    if not undo.exists():
        return
    change = _read_undo(undo)
    if change is not None:
        old_size, entries = change
        with path.open("r+b") as file:
            for start, old in reversed(entries):
                file.seek(start)
                file.write(old)
            file.truncate(old_size)
    undo.unlink()


def _read_undo(undo: Path) -> tuple[int, Entries] | None:
    """Old size and bytes. What is incomplete at the end was kept for a write that never began."""
    try:
        data = undo.read_bytes()
    except FileNotFoundError:
        return None
    if len(data) < _HEAD.size or not data.startswith(_MAGIC):
        return None
    _, old_size = _HEAD.unpack_from(data)
    entries: Entries = []
    place = _HEAD.size
    while place + _ENTRY.size <= len(data):
        start, length = _ENTRY.unpack_from(data, place)
        place += _ENTRY.size
        if place + length > len(data):
            break
        entries.append((start, data[place : place + length]))
        place += length
    return old_size, entries
