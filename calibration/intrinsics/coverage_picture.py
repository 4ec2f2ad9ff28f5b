"""A picture of where corners were seen and how far off they are."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from calibration.detection import Detection
from calibration.intrinsics.frame_choice import CELLS, cell_counts

type Array = NDArray[np.floating]

_EMPTY, _DOT, _ARROW = (255, 205, 195), (40, 40, 40), (200, 30, 30)
_ARROW_LENGTH = 60.0
_FULL = 30


def coverage_picture(
    seen: Sequence[Detection], residuals: Sequence[Array], size: tuple[int, int]
) -> NDArray[np.uint8]:
    """Draws corners as dots, errors as arrows 60 times as long; empty cells are red.

    Args:
        seen: What was detected in the frames that were used.
        residuals: Per frame (m, 2), predicted minus seen [px].
        size: Width and height of the pictures [px].

    Returns:
        (h, w, 3) RGB.
    """
    width, height = size
    picture = np.full((height, width, 3), 255, dtype=np.uint8)
    counts = cell_counts(seen, size)
    columns = np.linspace(0, width, CELLS[0] + 1).astype(int)
    rows = np.linspace(0, height, CELLS[1] + 1).astype(int)
    for row in range(CELLS[1]):
        for column in range(CELLS[0]):
            full = min(int(counts[row, column]), _FULL) / _FULL
            color = _EMPTY if full == 0 else (int(235 - 90 * full), 245, int(235 - 60 * full))
            area = np.s_[rows[row] : rows[row + 1], columns[column] : columns[column + 1]]
            picture[area] = color
    for detection, residual in zip(seen, residuals, strict=True):
        for pixel, error in zip(detection.pixels, residual, strict=True):
            start = tuple(np.round(pixel).astype(int).tolist())
            stop = tuple(np.round(pixel + _ARROW_LENGTH * error).astype(int).tolist())
            cv2.line(picture, start, stop, _ARROW, 1, cv2.LINE_AA)
            cv2.circle(picture, start, 1, _DOT, -1)
    return picture
