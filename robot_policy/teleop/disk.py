"""Whether there is room on the disk for what is being recorded."""

import shutil
from collections.abc import Callable
from pathlib import Path

_RESERVE_BYTES = 512 * 1024 * 1024
"""Kept free: encoding needs some, and a full disk breaks more than a recording."""


def _free_bytes(path: Path) -> int:
    return shutil.disk_usage(path).free


class DiskWatch:
    """Says in words when a recording has to stop; asks the system now and then only.

    Args:
        path: Where the recording goes; it need not exist yet.
        reserve_bytes: Kept free.
        free_bytes: How much is free where a folder is.
    """

    def __init__(
        self,
        path: Path,
        *,
        reserve_bytes: int = _RESERVE_BYTES,
        free_bytes: Callable[[Path], int] = _free_bytes,
    ) -> None:
        self._path = path
        self._reserve = reserve_bytes
        self._free_bytes = free_bytes
        self._checked_ns: int | None = None
        self._problem: str | None = None

    def problem(self, now_ns: int) -> str | None:
        """Returns why nothing more may be recorded; None while there is room."""
        if self._checked_ns is None or now_ns - self._checked_ns > 1_000_000_000:
            self._checked_ns = now_ns
            free = self._free_bytes(self._existing())
            self._problem = None
            if free < self._reserve:
                self._problem = (
                    f"only {free / 1e6:.0f} MB are free where {self._path} is; "
                    f"recording needs {self._reserve / 1e6:.0f} MB"
                )
        return self._problem

    def _existing(self) -> Path:
        path = self._path.absolute()
        while not path.exists():
            path = path.parent
        return path
