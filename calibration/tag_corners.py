"""Corners of square tags as the crossings of their edges.

A tag's corner is no saddle, so the usual search for one drifts by the blur of the picture. Its
edges are straight and long: each is fitted through many crossings of its grey profile.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from calibration.board import Board

type Array = NDArray[np.floating]

_ALONG = 24
"""Profiles along an edge."""
_ENDS = 0.12
"""Share of an edge left out at each end, where the other edges blur in."""
_STEPS_PER_PX = 4
_FEWEST = 8
"""Profiles that must agree on an edge."""


def refine_tags(
    board: Board, gray: NDArray[np.uint8], quads: Array
) -> tuple[Array, NDArray[np.bool_]]:
    """Refines tags (t, 4, 2), corners clockwise from the upper left.

    Returns:
        Corners (t, 4, 2) and whether all four edges of a tag were clear (t,).
    """
    modules = board.marker_dictionary().markerSize + 2
    refined, sharp = quads, np.ones(len(quads), dtype=bool)
    for _ in range(2):  # the second round starts on the edges that the first one found
        reach_px = _reach(refined, modules=modules, board=board)
        refined, clear = _refine_once(gray, refined, reach_px)
        sharp &= clear & (np.abs(refined - quads).max(axis=(1, 2)) < 2.5)
        refined = np.where(sharp[:, None, None], refined, quads)
    return refined, sharp


def _reach(quads: Array, *, modules: int, board: Board) -> Array:
    """How far from an edge one may look without meeting anything else [px], (t,)."""
    side_px = np.linalg.norm(np.roll(quads, -1, axis=1) - quads, axis=-1).min(axis=1)
    gap = (board.square_m - board.marker_m) / board.marker_m
    return np.clip(0.8 * side_px * min(1.0 / modules, gap), 1.5, 5.0)


def _refine_once(
    gray: NDArray[np.uint8], quads: Array, reach_px: Array
) -> tuple[Array, NDArray[np.bool_]]:
    starts, stops = quads, np.roll(quads, -1, axis=1)
    direction = stops - starts
    direction = direction / np.linalg.norm(direction, axis=-1, keepdims=True)
    outward = np.stack([direction[..., 1], -direction[..., 0]], axis=-1)  # corners go clockwise
    share = np.linspace(_ENDS, 1.0 - _ENDS, _ALONG)[:, None]
    middles = starts[:, :, None] + share * (stops - starts)[:, :, None]  # (t, 4, along, 2)
    offsets, slopes = _profiles(gray, middles, outward, reach_px)
    crossing, clear = _crossings(offsets, slopes)
    on_edge = middles + crossing[..., None] * outward[:, :, None]
    lines, fitted = _lines(on_edge, clear)
    return _cross(lines), np.all(fitted, axis=1)


def _profiles(
    gray: NDArray[np.uint8], middles: Array, outward: Array, reach_px: Array
) -> tuple[Array, Array]:
    """Grey steps across the edges: offsets (t, s) [px] and slopes (t, 4, along, s)."""
    steps = int(np.ceil(_STEPS_PER_PX * 5.0))
    grid = np.linspace(-1.0, 1.0, 2 * steps + 1)
    at = reach_px[:, None] * grid
    where = middles[..., None, :] + at[:, None, None, :, None] * outward[:, :, None, None, :]
    flat = where.reshape(where.shape[0], -1, 2).astype(np.float32)
    grey = cv2.remap(gray, flat[..., 0], flat[..., 1], cv2.INTER_LINEAR).astype(np.float64)
    slopes = np.diff(grey.reshape(where.shape[:-1]), axis=-1)
    return (at[:, 1:] + at[:, :-1]) / 2, slopes


def _crossings(offsets: Array, slopes: Array) -> tuple[Array, NDArray[np.bool_]]:
    """Centre of the rise from black to white, and whether there is one."""
    rise = np.clip(slopes, 0.0, None)
    total = rise.sum(axis=-1)
    centre = (rise * offsets[:, None, None, :]).sum(axis=-1) / np.maximum(total, 1e-9)
    return centre, total > 20.0


def _lines(points: Array, clear: NDArray[np.bool_]) -> tuple[Array, NDArray[np.bool_]]:
    """Total least squares through points (t, 4, along, 2); (a, b, c) with a x + b y = c."""
    weight = clear.astype(np.float64)
    normal = np.zeros((*points.shape[:2], 3))
    for _ in range(3):
        total = np.maximum(weight.sum(axis=-1), 1e-9)[..., None]
        mean = (weight[..., None] * points).sum(axis=-2) / total
        centred = points - mean[..., None, :]
        scatter = np.einsum("...k,...ki,...kj->...ij", weight, centred, centred)
        n = np.linalg.eigh(scatter)[1][..., 0]
        normal = np.concatenate([n, (n * mean).sum(axis=-1, keepdims=True)], axis=-1)
        distance = np.abs((centred * n[..., None, :]).sum(axis=-1))
        spread = np.median(np.where(clear, distance, np.inf), axis=-1, keepdims=True)
        weight = (clear & (distance <= 3.0 * spread + 0.02)).astype(np.float64)
    return normal, weight.sum(axis=-1) >= _FEWEST


def _cross(lines: Array) -> Array:
    """Corner i is where edge i - 1 meets edge i."""
    before = np.roll(lines, 1, axis=1)
    M = np.stack([before[..., :2], lines[..., :2]], axis=-2)
    c = np.stack([before[..., 2], lines[..., 2]], axis=-1)
    usable = np.abs(np.linalg.det(M)) > 0.1
    M = np.where(usable[..., None, None], M, np.eye(2))
    return np.where(usable[..., None], np.linalg.solve(M, c[..., None])[..., 0], np.inf)
