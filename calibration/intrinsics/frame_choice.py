"""Which frames to calibrate from: those that together cover the picture."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from calibration.detection import Detection

type Array = NDArray[np.floating]

CELLS = (8, 6)
"""Columns and rows that coverage is counted in."""


def choose_frames(
    seen: Sequence[Detection], size: tuple[int, int], *, at_most: int
) -> NDArray[np.int64]:
    """Chooses frames one by one, each the one that adds most where little is known so far.

    A cell with n corners is worth log(1 + n): the tenth corner in the middle adds less than the
    first one at the edge.

    Args:
        seen: (n,) what the frames show.
        size: Width and height of the pictures [px].
        at_most: Number of frames to choose.

    Returns:
        Their indices, ascending.
    """
    counts = np.array([cell_counts([d], size).ravel() for d in seen], dtype=np.float64)
    total = np.zeros(counts.shape[-1])
    left = set(range(len(seen)))
    chosen: list[int] = []
    while left and len(chosen) < at_most:
        gain = {i: float(np.log1p(total + counts[i]).sum()) for i in left}
        best = max(sorted(gain), key=gain.__getitem__)
        left.remove(best)
        chosen.append(best)
        total += counts[best]
    return np.array(sorted(chosen), dtype=np.int64)


def cell_counts(seen: Sequence[Detection], size: tuple[int, int]) -> NDArray[np.int64]:
    """Number of corners in every cell (rows, columns) of the picture."""
    counts = np.zeros((CELLS[1], CELLS[0]), dtype=np.int64)
    for detection in seen:
        share = (detection.pixels + 0.5) / np.array(size)
        column, row = np.clip((share * CELLS).astype(int), 0, np.array(CELLS) - 1).T
        np.add.at(counts, (row, column), 1)
    return counts


def coverage(seen: Sequence[Detection], size: tuple[int, int]) -> float:
    """Share of the picture's cells that hold a corner, 0 to 1."""
    return float((cell_counts(seen, size) > 0).mean())
