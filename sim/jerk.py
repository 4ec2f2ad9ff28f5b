"""How jerky a motion is: the mean size of the third derivative of a path, by differences.

    j_k = (q_{k+3} - 3 q_{k+2} + 3 q_{k+1} - q_k) / dt^3,   jerk = mean over k of |j_k|

Of the *commanded* path, q are the targets that were sent: the actions themselves where they are
targets, their running sum from zero where they are displacements. Of the *measured* path, q is
where the end effector was. Orientation and gripper have no part in it. A step in which the arm held
belongs to the path as any other, so stopping and starting again costs what it costs; and so does
the first start, because the arm was at rest before it: the first point counts three times.
"""

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.specs import ActionSpace


def commanded_jerk(
    actions: NDArray[np.floating], *, space: ActionSpace, dt_s: float
) -> float | None:
    """Mean jerk of what was sent, [m/s^3] of the end effector or [rad/s^3] of the joints.

    Args:
        actions: (T, A) as they were executed, after the safety filter.
        space: Their meaning.
        dt_s: Control period [s].

    Returns:
        None where nothing was sent.
    """
    cartesian = space in (ActionSpace.EE_DELTA_POSE, ActionSpace.EE_POSE)
    path = actions.astype(np.float64)[:, : 3 if cartesian else -1]
    if space.is_delta:
        path = np.concatenate([np.zeros((1, path.shape[1])), np.cumsum(path, axis=0)])
    return path_jerk(path, dt_s=dt_s)


def path_jerk(path: NDArray[np.floating], *, dt_s: float) -> float | None:
    """Mean jerk of points (L, D) that are `dt_s` seconds apart; None of fewer than two."""
    if len(path) < 2:
        return None
    begun_at_rest = np.concatenate([path[:1], path[:1], path]).astype(np.float64)
    jerks = np.diff(begun_at_rest, n=3, axis=0) / dt_s**3
    return float(np.linalg.norm(jerks, axis=1).mean())
