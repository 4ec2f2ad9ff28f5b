"""Gauss-Newton on distances from points to planes, the core of aligning clouds and surfaces.

The residual of a point p and a plane through q with normal n is r = n · (p - q) (Chen and Medioni
1991). A step (w, x) [rad, m] in the frame of p and q makes the rotation R of the pose sought into
Exp(w) R and its translation t into t + x; levers are taken about t.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.errors import DataError
from robot_policy.core.geometry import matrix_from_rotvec, transform

type Array = NDArray[np.floating]

FEWEST_POINTS = 200


@dataclass(frozen=True, slots=True, eq=False)
class Equations:
    """Normal equations of some points that may share an error, those of one view for example.

    Attributes:
        H: (P, P) sum of w J^T J over the points; the parameters are (w, x) and what else there is.
        g: (P,) sum of w J^T r.
        residuals_m: (N,) r.
        weights: (N,) w, 0 for points that do not count.
    """

    H: Array
    g: Array
    residuals_m: Array
    weights: Array

    @property
    def used(self) -> int:
        """Points that count."""
        return int((self.weights > 0.0).sum())


def plane_equations(
    p: Array,
    n: Array,
    *,
    origin: Array,
    residuals_m: Array,
    weights: Array,
    more: Array | None = None,
) -> Equations:
    """Builds the equations of N points.

    Args:
        p: (N, 3) points, where the pose puts them [m].
        n: (N, 3) normals.
        origin: (3,) t of the pose.
        residuals_m: (N,) r.
        weights: (N,).
        more: (N, M) derivatives of r by further parameters.
    """
    columns = [np.cross(p - origin, n), n, *([] if more is None else [more])]
    J = np.concatenate(columns, axis=1)
    weighted = weights[:, None] * J
    return Equations(J.T @ weighted, weighted.T @ residuals_m, residuals_m, weights)


def solve(parts: Sequence[Equations], *, what: str) -> Array:
    """Returns the step (P,) of all equations together.

    Raises:
        DataError: If fewer than `FEWEST_POINTS` count; says of `what`.
    """
    points = sum(part.used for part in parts)
    if points < FEWEST_POINTS:
        raise DataError(
            f"too few points of {what}",
            where="depth",
            expected=f">= {FEWEST_POINTS}",
            got=points,
            hint="is it in view, and the first guess good to some centimetres?",
        )
    H = np.sum([part.H for part in parts], axis=0)
    g = np.sum([part.g for part in parts], axis=0)
    # Damped a little: surfaces may leave a direction open.
    return -np.linalg.solve(H + 1e-9 * np.trace(H) * np.eye(len(g)), g)


def moved(pose: Array, step: Array) -> Array:
    """Applies the first six entries of a step to a pose (4, 4)."""
    return transform(matrix_from_rotvec(step[:3]) @ pose[:3, :3], pose[:3, 3] + step[3:6])


def tukey(x: Array, limit: float) -> Array:
    """Weights (1 - (x / limit)^2)^2, 0 beyond the limit."""
    return np.where(np.abs(x) < limit, (1.0 - (x / limit) ** 2) ** 2, 0.0)


def rms(parts: Sequence[Equations]) -> float:
    """Weighted root mean square of the residuals [m]."""
    squares = sum(float(part.weights @ part.residuals_m**2) for part in parts)
    return float(np.sqrt(squares / max(sum(float(p.weights.sum()) for p in parts), 1e-9)))


def covariance(clusters: Sequence[Equations], pose: Array, *, fewest: int = 3) -> Array:
    """Covariance at the solution, with w and x turned into the frame that `pose` maps from.

    With K clusters whose points share their errors it is K/(K-1) H^-1 (sum g_k g_k^T) H^-1, the
    sandwich of Liang and Zeger (1986), added to that of independent points, s^2 H^-1, so that it
    is never less.

    Args:
        clusters: Equations at the solution.
        pose: (4, 4).
        fewest: With less clusters only the second part is taken.
    """
    inverse = np.linalg.inv(np.sum([part.H for part in clusters], axis=0))
    total = rms(clusters) ** 2 * inverse
    count = len(clusters)
    if count >= fewest:
        G = np.sum([np.outer(part.g, part.g) for part in clusters], axis=0)
        total = total + inverse @ G @ inverse * count / (count - 1)
    turn = np.eye(len(total))
    turn[:3, :3] = turn[3:6, 3:6] = pose[:3, :3].T
    return turn @ total @ turn.T


def deviations(covariance: Array) -> dict[str, float]:
    """Standard deviations of a pose as two figures, ``sd_mm`` and ``sd_deg``."""
    sd = np.sqrt(np.diag(covariance))
    return {
        "sd_mm": 1e3 * float(np.linalg.norm(sd[3:6])),
        "sd_deg": float(np.rad2deg(np.linalg.norm(sd[:3]))),
    }
