"""Joint trajectories as places one control period apart."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

_MOST_POINTS = 1000
"""A trajectory is not asked for places further ahead than so many control periods."""


def resampled(
    times_s: NDArray[np.floating[Any]],
    points: NDArray[np.floating[Any]],
    *,
    period_s: float,
    start: NDArray[np.floating[Any]] | None,
) -> NDArray[np.floating[Any]]:
    """Returns the places (m, M) at which a trajectory is after 1, 2, … periods, to its end.

    Between points it is linear, as the controller interpolates positions without velocities.

    Args:
        times_s: (n,) of the points, from now, increasing [s].
        points: (n, M) positions.
        period_s: Control period [s].
        start: (M,) where the joints are now; None begins at the first point.
    """
    count = min(max(1, int(np.ceil(times_s[-1] / period_s - 1e-6))), _MOST_POINTS)
    if start is not None and times_s[0] > 0.0:
        times_s, points = np.append(0.0, times_s), np.vstack([start, points])
    at_s = period_s * np.arange(1, count + 1)
    # What is meant for a sampled moment is taken as it is, not as an interpolation between it and
    # its neighbour a rounding error away.
    nearest = np.abs(at_s[:, None] - times_s).argmin(axis=1)
    exact = np.abs(at_s - times_s[nearest]) < 1e-6
    columns: list[NDArray[np.floating[Any]]] = [
        np.interp(at_s, times_s, points[:, joint]) for joint in range(points.shape[1])
    ]
    between = np.stack(columns, axis=1)
    return np.where(exact[:, None], points[nearest], between)
