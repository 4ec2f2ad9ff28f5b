"""Arrays to another process of the same program by shared memory, everything else by a pipe.

A pipe takes pictures in pieces, through several copies: 1 ms for two of 224 px, tens for two
cameras of 640 x 480. Only this project's own child is at the other end, and nobody else can reach
either.
"""

import mmap
import os
import tempfile
from collections.abc import Mapping
from multiprocessing.connection import Connection
from multiprocessing.reduction import recv_handle, send_handle
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_ALIGNMENT = 64
_MEMORY = Path("/dev/shm")

type Arrays = Mapping[str, NDArray[Any]]
type _Place = tuple[str, tuple[int, ...], int]
"""Type, shape and where it begins."""


class ArraySender:
    """Sends values with arrays; the receiver must have taken one before the next is sent.

    Through the pipe go the value, the place of each array in the shared memory, and the size of a
    new shared memory that follows as a handle, 0 if there is none. Where there is no room for them
    the arrays go through the pipe as well.

    Args:
        connection: Socket to the other process.
        pid: Of it.
    """

    def __init__(self, connection: Connection, pid: int) -> None:
        self._connection = connection
        self._pid = pid
        self._memory = mmap.mmap(-1, 1)

    def send(self, value: object, arrays: Arrays) -> None:
        """Sends a value, which the pipe carries, and numbers of any type and shape.

        Raises:
            OSError: If nobody is there any more.
        """
        places: dict[str, _Place] = {}
        end = 0
        for name, array in arrays.items():
            places[name] = (array.dtype.str, array.shape, end)
            end = -(-(end + array.nbytes) // _ALIGNMENT) * _ALIGNMENT
        if end <= len(self._memory):
            self._fill(arrays, places)
            self._connection.send((value, places, 0))
            return
        with tempfile.TemporaryFile(dir=_MEMORY if _MEMORY.is_dir() else None) as file:
            try:
                # Room that was promised and is not there would end the process at the first write.
                os.posix_fallocate(file.fileno(), 0, end)
            except OSError:  # containers often have 64 MB of it
                self._connection.send((value, arrays, 0))
                return
            self._memory = mmap.mmap(file.fileno(), end)
            self._fill(arrays, places)
            self._connection.send((value, places, end))
            send_handle(self._connection, file.fileno(), self._pid)

    def _fill(self, arrays: Arrays, places: Mapping[str, _Place]) -> None:
        for name, array in arrays.items():
            np.copyto(_view(self._memory, places[name]), array)


class ArrayReceiver:
    """Receives what an `ArraySender` sends.

    Args:
        connection: Socket to the other process.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._memory = mmap.mmap(-1, 1)

    def receive(self) -> tuple[Any, dict[str, NDArray[Any]]]:
        """Returns the next value, and arrays that nobody else holds.

        Raises:
            EOFError: If nobody is there any more; or an OSError.
        """
        value, places, size = self._connection.recv()
        if size:
            handle = recv_handle(self._connection)
            try:
                self._memory = mmap.mmap(handle, size)
            finally:
                os.close(handle)
        return value, {name: self._taken(place) for name, place in places.items()}

    def _taken(self, place: "_Place | NDArray[Any]") -> NDArray[Any]:
        if isinstance(place, np.ndarray):
            return place
        # A copy: the next ones come to the same place, and a policy may keep what it was shown.
        return _view(self._memory, place).copy()


def _view(memory: mmap.mmap, place: _Place) -> NDArray[Any]:
    kind, shape, begin = place
    return np.ndarray(shape, kind, memory, begin)
