"""Finds the corners of a board in a picture, to a fraction of a pixel."""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from calibration.board import Board, BoardKind
from calibration.tag_corners import refine_tags

type Array = NDArray[np.floating]
type Gray = NDArray[np.uint8]

MINIMUM_CORNERS = 6
"""Fewer do not fix a pose with anything to spare."""
_THINNEST = 0.02
"""Smallest ratio of the corners' extents on the board: below, they lie on one line."""
_SEARCH_WIDTH_PX = 1000
_STOP = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 50, 1e-3)


@dataclass(frozen=True, slots=True)
class Detection:
    """Corners seen in one picture.

    Attributes:
        ids: (n,) rows of `Board.points`, ascending.
        pixels: (n, 2) where they are [px], pixel centres at whole numbers.
    """

    ids: NDArray[np.int64]
    pixels: Array


def detect(board: Board, gray: Gray) -> Detection | None:
    """Finds the board in a picture (h, w), or returns None.

    ChArUco boards and tag grids may be partly hidden. What is found fixes a pose: at least
    `MINIMUM_CORNERS`, not on one line.
    """
    match board.kind:
        case BoardKind.CHARUCO:
            ids, pixels = _charuco(board, gray)
        case BoardKind.CHECKERBOARD:
            ids, pixels = _checkerboard(board, gray)
        case BoardKind.APRILTAG:
            ids, pixels = _tags(board, gray)
    order = np.argsort(ids)
    ids, pixels = ids[order].astype(np.int64), pixels[order].astype(np.float64)
    return Detection(ids, pixels) if _fixes_a_pose(board, ids) else None


def to_gray(pixels: NDArray[np.generic]) -> Gray:
    """Turns (h, w) or (h, w, 3) RGB pixels of 8 or 16 bits into grey of 8 bits."""
    if pixels.dtype == np.uint16:
        top = max(int(pixels.max()), 1)  # type: ignore[call-overload]
        pixels = (pixels.astype(np.float64) * (255.0 / top)).astype(np.uint8)
    return pixels if pixels.ndim == 2 else cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)  # type: ignore[return-value]


def markers_in(board: Board, gray: Gray) -> NDArray[np.int64]:
    """Ids of all markers of the board's dictionary that are in the picture, on the board or not."""
    _, ids, _ = _marker_detector(board).detectMarkers(gray)
    return np.zeros(0, np.int64) if ids is None else ids.ravel().astype(np.int64)


def _fixes_a_pose(board: Board, ids: NDArray[np.int64]) -> bool:
    if len(ids) < MINIMUM_CORNERS:
        return False
    points = board.points[ids, :2]
    extents = np.linalg.svd(points - points.mean(axis=0), compute_uv=False)
    return bool(extents[1] > _THINNEST * extents[0])


@lru_cache(maxsize=8)
def _charuco_detector(board: Board) -> cv2.aruco.CharucoDetector:
    size = (board.columns, board.rows)
    dictionary = board.marker_dictionary()
    return cv2.aruco.CharucoDetector(
        cv2.aruco.CharucoBoard(size, board.square_m, board.marker_m, dictionary)
    )


@lru_cache(maxsize=8)
def _marker_detector(board: Board) -> cv2.aruco.ArucoDetector:
    return cv2.aruco.ArucoDetector(board.marker_dictionary(), cv2.aruco.DetectorParameters())


def _charuco(board: Board, gray: Gray) -> tuple[NDArray[np.int64], Array]:
    pixels, ids, _, _ = _charuco_detector(board).detectBoard(gray)
    if ids is None or len(ids) < MINIMUM_CORNERS:
        return np.zeros(0, np.int64), np.zeros((0, 2))
    ids = ids.ravel().astype(np.int64)
    gap_m = (board.square_m - board.marker_m) / 2
    # OpenCV up to 4.13 returns corners half a pixel too far right and down (opencv#25539), so they
    # are only where the search starts. Its window must not reach the markers.
    return ids, _refine_saddles(board, gray, ids, pixels.reshape(-1, 2) - 0.25, reach_m=gap_m)


def _checkerboard(board: Board, gray: Gray) -> tuple[NDArray[np.int64], Array]:
    size = (board.columns - 1, board.rows - 1)
    grid = find_checkerboard(gray, size)
    if grid is None:
        return np.zeros(0, np.int64), np.zeros((0, 2))
    grid = _upright(_right_handed(grid), gray)
    ids = np.arange(size[0] * size[1])
    reach_m = 0.45 * board.square_m
    return ids, _refine_saddles(board, gray, ids, grid.reshape(-1, 2), reach_m=reach_m)


def find_checkerboard(gray: Gray, size: tuple[int, int]) -> Array | None:
    """Finds a checkerboard by its inner corners (columns, rows).

    OpenCV's older detector is faster where it finds something, but may search for minutes where
    the board is another one.

    Returns:
        (rows, columns, 2) [px], roughly, or None.
    """
    shrink = min(1.0, _SEARCH_WIDTH_PX / gray.shape[1])
    small = cv2.resize(gray, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
    found, pixels = cv2.findChessboardCornersSB(small, size, flags=cv2.CALIB_CB_NORMALIZE_IMAGE)
    if not found:
        return None
    grid = np.asarray(pixels, dtype=np.float64).reshape(size[1], size[0], 2)
    return (grid + 0.5) / shrink - 0.5


def _right_handed(grid: Array) -> Array:
    """Nobody sees the back of a board: x to y turns clockwise in the picture."""
    along, down = grid[0, -1] - grid[0, 0], grid[-1, 0] - grid[0, 0]
    return grid if along[0] * down[1] - along[1] * down[0] > 0 else grid[:, ::-1]


def _upright(grid: Array, gray: Gray) -> Array:
    """Turns the board so that the square before the first corner is black."""
    light = [_grey_at(gray, g[0, 0] - 0.5 * (g[1, 1] - g[0, 0])) for g in (grid, grid[::-1, ::-1])]
    return grid if light[0] <= light[1] else grid[::-1, ::-1]


def _grey_at(gray: Gray, pixel: Array) -> float:
    return float(cv2.getRectSubPix(gray, (3, 3), (float(pixel[0]), float(pixel[1]))).mean())


def _refine_saddles(
    board: Board, gray: Gray, ids: NDArray[np.int64], pixels: Array, *, reach_m: float
) -> Array:
    """Moves corners onto the saddle of grey values, looking no further than `reach_m`."""
    found, _ = cv2.findHomography(board.points[ids, :2], pixels)
    refined = np.array(pixels, dtype=np.float32)
    if found is None:
        return refined
    H = np.asarray(found, dtype=np.float64)
    windows = np.clip(np.floor(0.85 * _reach_px(H, board.points[ids, :2], reach_m)), 2, 8)
    for window in np.unique(windows):
        of_size = windows == window
        w = (int(window), int(window))
        start = np.ascontiguousarray(refined[of_size]).reshape(-1, 1, 2)
        refined[of_size] = cv2.cornerSubPix(gray, start, w, (-1, -1), _STOP).reshape(-1, 2)
    return refined


def _reach_px(H: Array, points: Array, reach_m: float) -> Array:
    """How many pixels `reach_m` is at every corner, in the direction where it is least."""
    step = 1e-3 * reach_m
    ends = [_apply(H, points + step * np.array(d)) for d in ((1, 0), (0, 1), (0, 0))]
    J = np.stack([ends[0] - ends[2], ends[1] - ends[2]], axis=-1) / step
    return np.linalg.svd(J, compute_uv=False)[:, -1] * reach_m


def _apply(H: Array, points: Array) -> Array:
    moved = cv2.perspectiveTransform(points.reshape(-1, 1, 2), H)
    return np.asarray(moved, dtype=np.float64).reshape(-1, 2)


def _tags(board: Board, gray: Gray) -> tuple[NDArray[np.int64], Array]:
    corners, found, _ = _marker_detector(board).detectMarkers(gray)
    if found is None:
        return np.zeros(0, np.int64), np.zeros((0, 2))
    tags = found.ravel().astype(np.int64)
    known = (tags < board.columns * board.rows) & np.isin(tags, _seen_once(tags))
    tags = tags[known]
    quads = np.array([c.reshape(4, 2) for c, k in zip(corners, known, strict=True) if k])
    if not len(tags):
        return np.zeros(0, np.int64), np.zeros((0, 2))
    pixels, sharp = refine_tags(board, gray, quads.astype(np.float64))
    ids = (4 * tags[:, None] + np.arange(4))[sharp]
    return ids.ravel(), pixels[sharp].reshape(-1, 2)


def _seen_once(tags: NDArray[np.int64]) -> NDArray[np.int64]:
    values, counts = np.unique(tags, return_counts=True)
    return values[counts == 1]
