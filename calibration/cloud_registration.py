"""Where one depth camera is relative to another, from what both see of the same scene."""

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from calibration.depth_image import points_of
from calibration.plane_equations import (
    Equations,
    covariance,
    deviations,
    moved,
    plane_equations,
    rms,
    solve,
    tukey,
)
from calibration.pose_difference import pose_difference
from calibration.provenance import digest_of_arrays, provenance
from calibration.result import CalibrationResult, transform_parameters
from robot_policy.core.errors import ConfigError, DataError

type Array = NDArray[np.floating]

KIND = "camera_to_camera"

_GRID_M = 0.012
_GATES_M = (0.10, 0.012)
_STEPS = 40
_NEIGHBOURS = 20
_LEAST_OVERLAP = 0.2
_NEAR_M = 1.0
_PATCH_M = 0.2
"""Points within a cube of this edge are taken to share their errors."""
_ROUNDING = 2.0
"""Factor on the deviations, from simulated scenes: means over cubes round all edges alike, which no
patch can tell from the others."""
_LEAST_CONSTRAINT = 1e-4
"""Smallest share of the largest eigenvalue of H below which a motion is left open."""


@dataclass(frozen=True, slots=True, eq=False)
class DepthPair:
    """Depth images of two cameras of the same moment.

    Attributes:
        first_m: (h, w) of the first camera [m].
        first_intrinsics: (3, 3) [px].
        second_m: (h, w) of the second camera [m].
        second_intrinsics: (3, 3) [px].
    """

    first_m: NDArray[np.floating]
    first_intrinsics: Array
    second_m: NDArray[np.floating]
    second_intrinsics: Array


@dataclass(frozen=True, slots=True, eq=False)
class _Clouds:
    """A target with normals and a source that is moved onto it."""

    tree: KDTree
    normals: Array
    source: Array
    precision: Array


@dataclass(frozen=True, slots=True, eq=False)
class _Matches:
    """Points, the normals of their partners, distances and weights."""

    p: Array
    n: Array
    residuals_m: Array
    weights: Array

    def equations(self, pose: Array) -> Equations:
        return plane_equations(
            self.p,
            self.n,
            origin=pose[:3, 3],
            residuals_m=self.residuals_m,
            weights=self.weights,
        )

    def patches(self, pose: Array) -> list[Equations]:
        """One set of equations for every cube of a coarse grid."""
        cells = np.floor(self.p / _PATCH_M).astype(np.int64)
        _, patch = np.unique(cells, axis=0, return_inverse=True)
        patch = patch.ravel()
        return [self._of(patch == i).equations(pose) for i in range(int(patch.max()) + 1)]

    def _of(self, mask: NDArray[np.bool_]) -> "_Matches":
        return _Matches(self.p[mask], self.n[mask], self.residuals_m[mask], self.weights[mask])


def register_cameras(
    pairs: Sequence[DepthPair], first_T_second: Array, *, date: str = ""
) -> CalibrationResult:
    """Aligns the clouds of two cameras that stand still, all pairs at once, from a first guess.

    Args:
        pairs: One or more; what moves between them does no harm.
        first_T_second: First guess, (4, 4) [m], good to some centimetres and degrees.
        date: For the result, ISO 8601.

    Returns:
        ``first_T_second``.

    Raises:
        ConfigError: If there is no pair.
        DataError: If the clouds are too small, do not overlap, or show too simple a scene, a
            plane for example, along which they can slide.
    """
    if not pairs:
        raise ConfigError("no pair of depth images", where="pairs", expected=">= 1")
    clouds = [_clouds(pair) for pair in pairs]
    pose = first_T_second
    for step in range(_STEPS):
        gate = _GATES_M[0] * (_GATES_M[1] / _GATES_M[0]) ** (step / (_STEPS - 1))
        parts = [_matched(cloud, pose, gate_m=gate).equations(pose) for cloud in clouds]
        pose = moved(pose, solve(parts, what="what both cameras see"))
    return _result(pairs, clouds, first_T_second, pose, date=date)


def _result(
    pairs: Sequence[DepthPair], clouds: Sequence[_Clouds], guess: Array, pose: Array, *, date: str
) -> CalibrationResult:
    matches = [_matched(cloud, pose, gate_m=_GATES_M[1]) for cloud in clouds]
    parts = [match.equations(pose) for match in matches]
    overlap = sum(p.used for p in parts) / sum(len(c.source) for c in clouds)
    if overlap < _LEAST_OVERLAP:
        raise DataError(
            "the two clouds do not overlap",
            where="first_T_second",
            expected=f"at least {_LEAST_OVERLAP:.0%} of the points in common",
            got=f"{overlap:.0%}",
            hint="a scene that both see, and a first guess good to some centimetres",
        )
    _check_constraint(parts)
    patches = [patch for match in matches for patch in match.patches(pose)]
    spread = _ROUNDING**2 * covariance(patches, pose)
    moved_mm, moved_deg = pose_difference(guess, pose)
    arrays = [a for p in pairs for a in (p.first_m, p.second_m)]
    return CalibrationResult(
        kind=KIND,
        values={"first_T_second": pose},
        parameters=transform_parameters("first_T_second"),
        covariance=spread,
        residuals={"surface_mm": np.array([1e3 * rms([part]) for part in parts])},
        figures={
            "surface_rms_mm": 1e3 * rms(parts),
            "overlap": overlap,
            "pairs": float(len(pairs)),
            "moved_mm": moved_mm,
            "moved_deg": moved_deg,
            **deviations(spread),
        },
        provenance=provenance(digest_of_arrays([guess, *arrays]), date=date),
    )


def _clouds(pair: DepthPair) -> _Clouds:
    o3d: Any = importlib.import_module("open3d")
    target, normals = _thinned(o3d, pair.first_m, pair.first_intrinsics)
    source, _ = _thinned(o3d, pair.second_m, pair.second_intrinsics)
    precision = np.minimum(1.0, (_NEAR_M / source[:, 2]) ** 4)
    return _Clouds(KDTree(target), normals, source, precision)


def _thinned(o3d: Any, depth_m: Array, intrinsics: Array) -> tuple[Array, Array]:
    """Means (N, 3) of the points in every cube of a grid, and the normals there."""
    cloud = o3d.geometry.PointCloud(
        o3d.utility.Vector3dVector(points_of(depth_m, intrinsics).xyz)
    ).voxel_down_sample(_GRID_M)
    cloud.estimate_normals(o3d.geometry.KDTreeSearchParamKNN(_NEIGHBOURS))
    return np.asarray(cloud.points), np.asarray(cloud.normals)


def _matched(cloud: _Clouds, pose: Array, *, gate_m: float) -> _Matches:
    """Pairs every point of the source with the nearest of the target."""
    p = cloud.source @ pose[:3, :3].T + pose[:3, 3]
    distance, index = cloud.tree.query(p, distance_upper_bound=2.0 * gate_m)
    near = np.isfinite(distance)
    p, q, n = p[near], cloud.tree.data[index[near]], cloud.normals[index[near]]
    residuals = np.einsum("ij,ij->i", n, p - q)
    weights = tukey(distance[near], 2.0 * gate_m) * tukey(residuals, gate_m)
    # The noise of a depth camera grows with the square of the distance.
    weights *= cloud.precision[near] * np.minimum(1.0, (_NEAR_M / q[:, 2]) ** 4)
    return _Matches(p, n, residuals, weights)


def _check_constraint(parts: Sequence[Equations]) -> None:
    values, vectors = np.linalg.eigh(np.sum([part.H for part in parts], axis=0))
    if values[0] > _LEAST_CONSTRAINT * values[-1]:
        return
    free = vectors[:, 0]
    kind = "turn" if np.linalg.norm(free[:3]) > np.linalg.norm(free[3:]) else "slide"
    raise DataError(
        f"the clouds can {kind} along each other",
        where="depth",
        hint="a scene with surfaces in all directions, not a table alone",
    )
