"""Depth images: what their numbers mean, and the points they stand for."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.errors import DataError

type Array = NDArray[np.floating]

_MM_PER_M = 1000.0
_FURTHEST_M = 30.0
"""No depth camera for manipulation sees further; a median beyond it is in other units."""
_NEAREST_M = 0.02


@dataclass(frozen=True, slots=True, eq=False)
class Points:
    """The measured points of a depth image, in the optical frame.

    Attributes:
        xyz: (N, 3) [m]; x right, y down, z forward.
        rows: (N,) of the pixels they come from.
        columns: (N,) likewise.
    """

    xyz: Array
    rows: NDArray[np.intp]
    columns: NDArray[np.intp]

    def __len__(self) -> int:
        return len(self.xyz)


def depth_in_metres(raw: NDArray[Any], *, where: object) -> NDArray[np.float32]:
    """Turns a depth image as cameras store it into metres.

    Integers are millimetres and floating-point numbers metres, as ROS has it (REP 118). What is
    not positive or not finite was not measured.

    Args:
        raw: (h, w) uint16 [mm] or float [m].
        where: Named in the error.

    Returns:
        (h, w) [m], 0 where nothing was measured.

    Raises:
        DataError: If it is no depth image, holds no measurement, or is in other units.
    """
    if raw.ndim != 2:
        raise DataError("not a depth image", where=where, expected="(h, w)", got=raw.shape)
    if raw.dtype == np.uint8:
        raise DataError(
            "not a depth image", where=where, expected="uint16 [mm] or float [m]", got=raw.dtype
        )
    scale = _MM_PER_M if raw.dtype.kind in "ui" else 1.0
    depth = raw.astype(np.float64) / scale
    depth = np.where(np.isfinite(depth) & (depth > 0.0), depth, 0.0)
    measured = depth[depth > 0.0]
    if not measured.size:
        raise DataError("no depth was measured", where=where, hint="is it the depth image?")
    _check_units(float(np.median(measured)), kind=raw.dtype.kind, where=where)
    return depth.astype(np.float32)


def _check_units(median_m: float, *, kind: str, where: object) -> None:
    if median_m > _FURTHEST_M:
        raise DataError(
            "the depth is in millimetres, and was read as metres"
            if kind == "f"
            else "the depth is not in millimetres",
            where=where,
            expected=f"a median below {_FURTHEST_M:g} m",
            got=f"{median_m:.4g} m",
        )
    if median_m < _NEAREST_M:
        raise DataError(
            "the depth is in metres, and was read as millimetres"
            if kind in "ui"
            else "the depth is not in metres",
            where=where,
            expected=f"a median above {_NEAREST_M:g} m",
            got=f"{median_m:.4g} m",
        )


def points_of(
    depth_m: Array, intrinsics: Array, *, mask: NDArray[np.bool_] | None = None
) -> Points:
    """Returns the points of a depth image in the optical frame.

    p = z K^-1 (u, v, 1), with pixel centres at integer (u, v).

    Args:
        depth_m: (h, w) distance along the optical axis [m], 0 where nothing was measured.
        intrinsics: (3, 3) [px], without distortion.
        mask: (h, w) pixels to take; all if None.
    """
    wanted = depth_m > 0.0 if mask is None else mask & (depth_m > 0.0)
    rows, columns = np.nonzero(wanted)
    z = depth_m[rows, columns].astype(np.float64)
    rays = rays_of(rows, columns, intrinsics)
    return Points(rays * z[:, None], rows, columns)


def rays_of(rows: NDArray[Any], columns: NDArray[Any], intrinsics: Array) -> Array:
    """(N, 3) directions of pixels in the optical frame, z = 1."""
    fx, fy = intrinsics[0, 0], intrinsics[1, 1]
    y = (rows - intrinsics[1, 2]) / fy
    x = (columns - intrinsics[0, 2] - intrinsics[0, 1] * y) / fx
    return np.stack([x, y, np.ones_like(y)], axis=-1)
