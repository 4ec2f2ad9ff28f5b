"""Aligns depth images of a fixed camera with the robot they show, over all images at once.

Unknown is ``base_T_camera``. The two stages differ in what point of the robot belongs to a measured
point: `align_roughly` takes the nearest that the camera should see, which finds its way from
centimetres; `align_finely` the one on the same ray, so that the error is the depth camera's own and
leaves no bias.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from calibration.plane_equations import Equations, moved, plane_equations, solve, tukey
from calibration.ray_caster import RayCaster

type Array = NDArray[np.floating]

_ALONG = 0.1
"""Weight of the distance along the surface in the first steps, where planes alone would slide."""
_WHAT = "the robot in the cloud"


@dataclass(frozen=True, slots=True, eq=False)
class AlignedView:
    """One depth image, ready to be aligned.

    Attributes:
        xyz: (N, 3) some of its points that may be the robot, optical frame [m].
        depth_m: (h, w) [m], 0 where nothing was measured.
        intrinsics: (3, 3) [px].
        robot: Surface of the robot at that moment, base frame.
    """

    xyz: Array
    depth_m: NDArray[np.floating]
    intrinsics: Array
    robot: RayCaster


@dataclass(frozen=True, slots=True, eq=False)
class FineAlignment:
    """Where the camera is, and what is left over there.

    Attributes:
        base_T_camera: (4, 4).
        depth_scale: Factor on measured depth; 1 unless it was asked for.
        views: Equations at the solution, one per view.
    """

    base_T_camera: Array
    depth_scale: float
    views: tuple[Equations, ...]


def align_roughly(
    views: Sequence[AlignedView],
    base_T_camera: Array,
    *,
    gates_m: tuple[float, float] = (0.12, 0.01),
    steps: int = 30,
    pixel_step: int = 4,
) -> Array:
    """Returns ``base_T_camera`` to within about a millimetre.

    Args:
        views: Of the same camera.
        base_T_camera: First guess, (4, 4).
        gates_m: Beyond this distance a point is not the robot; at first and in the end [m].
        steps: Number of steps; the gate shrinks evenly in its logarithm.
        pixel_step: The robot is looked at through every so many-th row and column.

    Raises:
        DataError: If too few points are near the robot.
    """
    pose = base_T_camera
    for step in range(steps):
        gate = gates_m[0] * (gates_m[1] / gates_m[0]) ** (step / max(1, steps - 1))
        along = _ALONG if step < steps // 3 else 0.0
        parts = [
            _nearest(view, pose, gate_m=gate, along=along, pixel_step=pixel_step) for view in views
        ]
        pose = moved(pose, solve(parts, what=_WHAT))
    return pose


def align_finely(
    views: Sequence[AlignedView],
    base_T_camera: Array,
    *,
    gate_m: float = 0.01,
    steps: int = 6,
    pixel_step: int = 2,
    with_scale: bool = False,
) -> FineAlignment:
    """Returns the solution and its equations.

    Args:
        views: Of the same camera.
        base_T_camera: (4, 4), good to a few millimetres.
        gate_m: Residual at which a point no longer counts [m].
        steps: Number of steps.
        pixel_step: Every so many-th row and column is used.
        with_scale: Also estimate a common factor on the measured depth, the last parameter.

    Raises:
        DataError: If too few points are on the robot.
    """
    pose, scale = base_T_camera, 1.0

    def equations() -> tuple[Equations, ...]:
        return tuple(
            _on_ray(view, pose, scale, gate_m=gate_m, pixel_step=pixel_step, with_scale=with_scale)
            for view in views
        )

    for _ in range(steps):
        step = solve(equations(), what=_WHAT)
        pose = moved(pose, step)
        scale += float(step[6]) if with_scale else 0.0
    return FineAlignment(pose, scale, equations())


def _nearest(
    view: AlignedView, pose: Array, *, gate_m: float, along: float, pixel_step: int
) -> Equations:
    """Equations of the points of a view with the nearest points that should be seen."""
    height, width = view.depth_m.shape
    seen = view.robot.look(pose, view.intrinsics, height=height, width=width, step=pixel_step)
    if not len(seen) or not len(view.xyz):
        return Equations(np.zeros((6, 6)), np.zeros(6), np.zeros(0), np.zeros(0))
    p = view.xyz @ pose[:3, :3].T + pose[:3, 3]
    distance, index = KDTree(seen.xyz).query(p, distance_upper_bound=3.0 * gate_m)
    near = np.isfinite(distance)
    nearest = np.asarray(index)[near]
    p, q, n = p[near], seen.xyz[nearest], seen.normals[nearest]
    near_enough = tukey(distance[near], 3.0 * gate_m)
    residuals = np.einsum("ij,ij->i", n, p - q)
    weights = near_enough * tukey(residuals, 1.5 * gate_m)
    part = plane_equations(p, n, origin=pose[:3, 3], residuals_m=residuals, weights=weights)
    if along == 0.0:
        return part
    H, g = part.H, part.g
    for axis in np.eye(3):
        towards = plane_equations(
            p,
            np.broadcast_to(axis, p.shape),
            origin=pose[:3, 3],
            residuals_m=(p - q) @ axis,
            weights=along * near_enough,
        )
        H, g = H + towards.H, g + towards.g
    return Equations(H, g, residuals, weights)


def _on_ray(
    view: AlignedView,
    pose: Array,
    scale: float,
    *,
    gate_m: float,
    pixel_step: int,
    with_scale: bool,
) -> Equations:
    """Equations of the pixels that should show the robot, each with its own point of it."""
    height, width = view.depth_m.shape
    seen = view.robot.look(pose, view.intrinsics, height=height, width=width, step=pixel_step)
    depth = scale * view.depth_m[seen.rows, seen.columns].astype(np.float64)
    measured = depth > 0.0
    q, n = seen.xyz[measured], seen.normals[measured]
    depth, expected = depth[measured], seen.depth_m[measured]
    ray = (q - pose[:3, 3]) / expected[:, None]
    p = pose[:3, 3] + ray * depth[:, None]
    residuals = np.einsum("ij,ij->i", n, p - q)
    # At a grazing angle the distance to the plane is small however wrong the depth is.
    weights = tukey(residuals, gate_m) * tukey(depth - expected, 3.0 * gate_m)
    by_scale = (np.einsum("ij,ij->i", n, ray) * depth / scale)[:, None] if with_scale else None
    return plane_equations(
        p, n, origin=pose[:3, 3], residuals_m=residuals, weights=weights, more=by_scale
    )
