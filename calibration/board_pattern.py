"""What is black on a board: the one source of the printed sheet and of rendered pictures."""

import numpy as np
from numpy.typing import NDArray

from calibration.board import Board, BoardKind

type Array = NDArray[np.floating]


def black_rectangles(board: Board) -> Array:
    """Returns (n, 4) rectangles x, y, width, height [m] in the board frame."""
    parts = [_markers(board)]
    if board.kind is not BoardKind.APRILTAG:
        parts.append(_squares(board))
    return np.concatenate(parts)


def board_texture(board: Board, *, pixels_per_m: float, margin_m: float) -> NDArray[np.uint8]:
    """Draws a board on white, (h, w), every edge where it belongs to a fraction of a pixel.

    Args:
        board: The board.
        pixels_per_m: Resolution.
        margin_m: White border on all sides; the pattern begins at that distance.
    """
    width_m, height_m = (side + 2 * margin_m for side in board.size_m)
    width, height = (max(1, round(side * pixels_per_m)) for side in (width_m, height_m))
    black = np.zeros((height, width))
    for x, y, w, h in black_rectangles(board) + np.array([margin_m, margin_m, 0.0, 0.0]):
        columns = _coverage(x * pixels_per_m, (x + w) * pixels_per_m, width)
        rows = _coverage(y * pixels_per_m, (y + h) * pixels_per_m, height)
        top, left = rows.nonzero()[0], columns.nonzero()[0]
        area = np.s_[top[0] : top[-1] + 1, left[0] : left[-1] + 1]
        black[area] += np.outer(rows[area[0]], columns[area[1]])
    return np.round(255.0 * (1.0 - np.clip(black, 0.0, 1.0))).astype(np.uint8)


def _squares(board: Board) -> Array:
    x, y = np.meshgrid(np.arange(board.columns), np.arange(board.rows))
    cells = np.stack([x.ravel(), y.ravel()], axis=-1)
    corners = board.square_m * cells[(cells.sum(axis=1) % 2) == 0]
    return np.concatenate([corners, np.full_like(corners, board.square_m)], axis=-1)


def _markers(board: Board) -> Array:
    """Runs of black modules, row by row."""
    rectangles: list[tuple[float, float, float, float]] = []
    if board.dictionary:
        dictionary = board.marker_dictionary()
        modules = dictionary.markerSize + 2
        module_m = board.marker_m / modules
        for marker, (left, top) in enumerate(board.marker_corners):
            dark = dictionary.generateImageMarker(marker, modules) == 0
            for row, line in enumerate(dark):
                edges = np.flatnonzero(np.diff(np.concatenate([[0], line.astype(int), [0]])))
                for start, stop in edges.reshape(-1, 2):
                    x, y = left + start * module_m, top + row * module_m
                    rectangles.append((x, y, (stop - start) * module_m, module_m))
    return np.array(rectangles, dtype=np.float64).reshape(-1, 4)


def _coverage(low: float, high: float, size: int) -> Array:
    """How much of every pixel lies between `low` and `high`."""
    edges = np.arange(size)
    return np.clip(np.minimum(edges + 1, high) - np.maximum(edges, low), 0.0, 1.0)
