"""Frames that share a fault, as few places: a finding for each run of them, not for each frame."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MOST_RUNS = 5
"""Runs of an episode that are told one by one; more become one place."""


@dataclass(frozen=True, slots=True)
class Run:
    """Frames first .. last, of which `count` have the fault."""

    first: int
    last: int
    count: int

    @property
    def frames(self) -> tuple[int, int]:
        """First and last."""
        return self.first, self.last

    def __str__(self) -> str:
        """Says how many, where not all frames of the run have the fault; else nothing."""
        return "" if self.count == self.last - self.first + 1 else f" ({self.count} frames in all)"


def runs(bad: NDArray[np.bool_]) -> Iterator[Run]:
    """Yields the runs of consecutive frames that are true, or one over all if they are many.

    Args:
        bad: (T,).
    """
    frames = np.flatnonzero(bad)
    if not len(frames):
        return
    parts = np.split(frames, np.flatnonzero(np.diff(frames) > 1) + 1)
    if len(parts) > MOST_RUNS:
        yield Run(int(frames[0]), int(frames[-1]), len(frames))
        return
    for part in parts:
        yield Run(int(part[0]), int(part[-1]), len(part))
