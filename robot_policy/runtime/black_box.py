"""Keeps the last seconds of everything in memory, for when something goes wrong."""

import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_IMAGE_PERIOD_NS = 100_000_000
_IMAGE_SIDE_PX = 224


@dataclass(frozen=True, slots=True)
class Record:
    """One thing that happened.

    Attributes:
        stamp_ns: When it was noted [ns of the clock of the stamps].
        channel: What kind of thing.
        value: What it was; nobody changes it afterwards.
    """

    stamp_ns: int
    channel: str
    value: Any


class BlackBox:
    """The records of the last `seconds`, as long as they fit into `max_bytes`.

    Of each camera at most ten images a second are kept, every second or third pixel of those larger
    than 224 px, so that two cameras take tens of megabytes and not gigabytes. Methods may be called
    from any thread, and none waits for a file.

    Args:
        seconds: How far back it reaches [s].
        max_bytes: Memory of the arrays in it; the oldest go first.
    """

    def __init__(self, *, seconds: float = 30.0, max_bytes: int = 256 << 20) -> None:
        self._kept_ns = round(seconds * 1e9)
        self._max_bytes = max_bytes
        self._records: deque[tuple[Record, int]] = deque()
        self._bytes = 0
        self._image_ns: dict[str, int] = {}
        self._lock = threading.Lock()

    def put(self, channel: str, value: object, *, stamp_ns: int) -> None:
        """Adds a value that is not an image."""
        with self._lock:
            self._append(Record(stamp_ns, channel, value))

    def put_image(self, camera: str, image: NDArray[np.uint8], *, stamp_ns: int) -> None:
        """Adds an image (h, w, 3), or leaves it out where the last one is too young."""
        with self._lock:
            before_ns = self._image_ns.get(camera)
            if before_ns is not None and 0 <= stamp_ns - before_ns < _IMAGE_PERIOD_NS:
                return
            self._image_ns[camera] = stamp_ns
            stride = -(-max(image.shape[:2]) // _IMAGE_SIDE_PX)
            self._append(Record(stamp_ns, camera, image[::stride, ::stride].copy()))

    def records(self) -> tuple[Record, ...]:
        """Returns what is in it, in the order in which it came."""
        with self._lock:
            return tuple(record for record, _ in self._records)

    def clear(self) -> None:
        """Empties it."""
        with self._lock:
            self._records.clear()
            self._image_ns.clear()
            self._bytes = 0

    def _append(self, record: Record) -> None:
        size = _array_bytes(record.value)
        self._records.append((record, size))
        self._bytes += size
        # A clock that jumps back must not keep what is old, nor one ahead drop what is new.
        while self._records and (
            self._bytes > self._max_bytes
            or abs(record.stamp_ns - self._records[0][0].stamp_ns) > self._kept_ns
        ):
            self._bytes -= self._records.popleft()[1]


def _array_bytes(value: object) -> int:
    if isinstance(value, np.ndarray):
        return value.nbytes
    names: Iterable[str] = getattr(value, "__dataclass_fields__", ())
    return sum(_array_bytes(getattr(value, name)) for name in names)
