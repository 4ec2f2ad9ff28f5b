"""Ctrl-C and SIGTERM as a wish that is granted between two gradient steps."""

import signal
import threading
from types import FrameType
from typing import Any, Self

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopRequest:
    """While entered, the first signal only sets `requested`, so that no step is left half done.

    The second one is not made to wait: it raises KeyboardInterrupt at once.

    Attributes:
        requested: A signal came.
        insisted: A second one came; a step may be half done.
    """

    def __init__(self) -> None:
        self.requested = False
        self.insisted = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        # Python lets no other thread handle signals, and delivers none to it.
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._handle) for number in _SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self.insisted, self.requested = self.requested, True
        if self.insisted:
            raise KeyboardInterrupt
