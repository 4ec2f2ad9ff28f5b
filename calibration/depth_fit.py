"""Scale and bias of a depth camera, from distances that are known otherwise."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calibration.depth_image import rays_of
from calibration.provenance import digest_of_arrays, provenance
from calibration.result import CalibrationResult
from robot_policy.core.errors import DataError

type Array = NDArray[np.floating]

KIND = "depth"

_FEWEST = 20
_STEPS = 20
_HUBER = 1.345
_LEAST_SPREAD = 0.05
"""Standard deviation of the distances [m] below which scale and bias cannot be told apart."""


@dataclass(frozen=True, slots=True, eq=False)
class KnownDistances:
    """What a depth image measured where a plane, such as a board, was known to be.

    Attributes:
        measured_m: (N,) depth as measured.
        expected_m: (N,) depth of the plane at the same pixels.
    """

    measured_m: Array
    expected_m: Array


def on_plane(
    depth_m: Array, intrinsics: Array, *, camera_T_plane: Array, corners: Array
) -> KnownDistances:
    """Compares a depth image with a flat board in it, pixel by pixel.

    The depth of the plane n · p = d along the ray of a pixel, whose z is 1, is d / (n · ray).

    Args:
        depth_m: (h, w) [m], 0 where nothing was measured.
        intrinsics: (3, 3) [px], of an image without distortion.
        camera_T_plane: (4, 4); the board is in the plane z = 0.
        corners: (C, 2) of its convex outline, board coordinates [m].
    """
    rows, columns = np.nonzero(depth_m > 0.0)
    rays = rays_of(rows, columns, intrinsics)
    normal, origin = camera_T_plane[:3, 2], camera_T_plane[:3, 3]
    slope = rays @ normal
    expected = float(normal @ origin) / np.where(np.abs(slope) > 1e-6, slope, np.inf)
    on_board = (rays * expected[:, None] - origin) @ camera_T_plane[:3, :2]
    inside = (expected > 0.0) & _inside(on_board, corners)
    return KnownDistances(
        depth_m[rows[inside], columns[inside]].astype(np.float64), expected[inside]
    )


def fit_depth(views: Sequence[KnownDistances], *, date: str = "") -> CalibrationResult:
    """Finds a and b of ``true = a * measured + b``, robustly (Huber).

    The covariance is that of estimates from views drawn anew: pixels of one view share the error
    of the board's pose.

    Args:
        views: One per image.
        date: For the result, ISO 8601.

    Returns:
        ``depth_scale`` a and ``depth_bias_m`` b. Where all distances are nearly the same, a is 1
        and a note says so.

    Raises:
        DataError: If there are too few points, or the scale is that of another unit.
    """
    used = [view for view in views if len(view.measured_m)]
    count = sum(len(view.measured_m) for view in used)
    if count < _FEWEST:
        raise DataError(
            "too few points with a known distance",
            where="depth",
            expected=f">= {_FEWEST}",
            got=count,
            hint="is the board in view of the depth camera, and within its range?",
        )
    measured = np.concatenate([view.measured_m for view in used])
    expected = np.concatenate([view.expected_m for view in used])
    _check_units(measured, expected)
    with_scale = float(np.std(expected)) >= _LEAST_SPREAD
    scale, bias, weights = _fit(measured, expected, with_scale=with_scale)
    parameters = ("depth_scale", "depth_bias_m") if with_scale else ("depth_bias_m",)
    covariance = _covariance(used, scale, bias, weights, with_scale=with_scale)
    notes: tuple[str, ...] = ()
    if not with_scale:
        notes = (
            "all distances are nearly the same: only the bias was estimated; show the board at "
            "distances that differ by 0.2 m or more",
        )
    before, after = expected - measured, expected - (scale * measured + bias)
    return CalibrationResult(
        kind=KIND,
        values={"depth_scale": scale, "depth_bias_m": bias},
        parameters=parameters,
        covariance=covariance,
        residuals={"depth_mm": np.array([_rms_mm(view, scale, bias) for view in used])},
        figures={
            "before_mm": 1e3 * float(np.sqrt(weights @ before**2 / weights.sum())),
            "after_mm": 1e3 * float(np.sqrt(weights @ after**2 / weights.sum())),
            "nearest_m": float(expected.min()),
            "furthest_m": float(expected.max()),
            "points": float(count),
        },
        notes=notes,
        provenance=provenance(digest_of_arrays([measured, expected]), date=date),
    )


def corrected(depth_m: NDArray[np.float32], result: CalibrationResult) -> NDArray[np.float32]:
    """Applies what `fit_depth` found; 0 stays 0."""
    scale, bias = float(result.values["depth_scale"]), float(result.values["depth_bias_m"])
    return np.where(depth_m > 0.0, scale * depth_m + bias, 0.0).astype(np.float32)


def _check_units(measured: Array, expected: Array) -> None:
    ratio = float(np.median(measured) / np.median(expected))
    for factor, what in (
        (1000.0, "the depth is in millimetres, and was read as metres"),
        (0.001, "the depth is in metres, and was read as millimetres"),
    ):
        if 0.5 < ratio / factor < 2.0:
            raise DataError(what, where="depth", got=f"{ratio:.4g} times the known distance")


def _fit(measured: Array, expected: Array, *, with_scale: bool) -> tuple[float, float, Array]:
    """Iteratively reweighted least squares."""
    weights = np.ones(len(measured))
    scale, bias = 1.0, 0.0
    for _ in range(_STEPS):
        total = float(weights.sum())
        mean_m, mean_e = weights @ measured / total, weights @ expected / total
        if with_scale:
            centred = measured - mean_m
            scale = float(
                (weights * centred) @ (expected - mean_e) / ((weights * centred) @ centred)
            )
        bias = float(mean_e - scale * mean_m)
        residuals = expected - scale * measured - bias
        limit = _HUBER * max(1.4826 * float(np.median(np.abs(residuals))), 1e-9)
        weights = np.minimum(1.0, limit / np.maximum(np.abs(residuals), 1e-12))
    return scale, bias, weights


def _covariance(
    views: Sequence[KnownDistances], scale: float, bias: float, weights: Array, *, with_scale: bool
) -> Array:
    size = 2 if with_scale else 1
    H, G, start = np.zeros((size, size)), np.zeros((size, size)), 0
    squares = 0.0
    for view in views:
        w = weights[start : start + len(view.measured_m)]
        start += len(view.measured_m)
        ones = np.ones_like(view.measured_m)
        J = np.stack([view.measured_m, ones], axis=1) if with_scale else ones[:, None]
        residuals = view.expected_m - scale * view.measured_m - bias
        g = J.T @ (w * residuals)
        H, G = H + J.T @ (w[:, None] * J), G + np.outer(g, g)
        squares += float(w @ residuals**2)
    inverse = np.linalg.inv(H)
    covariance = squares / float(weights.sum()) * inverse
    count = len(views)
    if count > size:
        covariance = covariance + inverse @ G @ inverse * count / (count - size)
    return covariance


def _rms_mm(view: KnownDistances, scale: float, bias: float) -> float:
    residuals = view.expected_m - scale * view.measured_m - bias
    return 1e3 * float(np.sqrt(np.mean(residuals**2)))


def _inside(points: Array, corners: Array) -> NDArray[np.bool_]:
    """Whether points (N, 2) are inside a convex polygon (C, 2), whichever way round it is."""
    edges = np.roll(corners, -1, axis=0) - corners
    offsets = points[:, None, :] - corners[None]
    sides = edges[None, :, 0] * offsets[..., 1] - edges[None, :, 1] * offsets[..., 0]
    return np.logical_or((sides >= 0.0).all(axis=1), (sides <= 0.0).all(axis=1))
