"""Decodes pictures beside the callbacks, so that joint states do not wait for them. No ROS."""

import threading
from collections.abc import Callable
from typing import Any

from robot_policy.core.errors import RobotPolicyError


class DecodingThread:
    """Decodes the newest picture of one camera; one that it did not get to is dropped.

    Args:
        name: Of the camera.
        decode: Picture to value; what it raises as a `RobotPolicyError` goes to `failed`.
        done: Called in this thread with the value and the stamp [ns].
        failed: Called in this thread with the reason.
    """

    def __init__(
        self,
        name: str,
        decode: Callable[[Any], Any],
        *,
        done: Callable[[Any, int], None],
        failed: Callable[[RobotPolicyError], None],
    ) -> None:
        self._decode = decode
        self._done = done
        self._failed = failed
        self._newest: tuple[Any, int] | None = None
        self._stopping = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name=f"decode {name}")
        self._thread.start()

    def submit(self, picture: Any, *, stamp_ns: int) -> None:
        """Replaces the picture that waits, if one does."""
        with self._changed:
            self._newest = (picture, stamp_ns)
            self._changed.notify()

    def close(self) -> None:
        """Ends the thread after the picture it is at."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._stopping or self._newest is not None)
                if self._stopping:
                    return
                newest, self._newest = self._newest, None
            assert newest is not None
            picture, stamp_ns = newest
            try:
                value = self._decode(picture)
            except RobotPolicyError as error:
                self._failed(error)
            else:
                self._done(value, stamp_ns)
