"""Joint angles for poses of the end effector, within the joints' ranges; many at once."""

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.geometry import matrix_from_rotvec, rotvec_from_matrix, transform
from robot_policy.core.kinematics import KinematicChain

type Array = NDArray[np.floating]

_ROUNDS = 40
_ENOUGH = 1e-3
"""Remaining motion, [m] and [rad] together, at which nothing is left to improve."""
_LONGEST_RAD = 0.3
"""Largest change of a joint in one round: the Jacobian holds only near by."""
_DAMPING = 0.05
_TINY = 1e-6
_HOMEWARD = 0.2
"""Part of the way back to the start that joints to spare go in every round."""


def joints_near(
    chain: KinematicChain, base_T_ee: Array, start: Array, *, low: Array, high: Array
) -> Array:
    """Returns joint angles (..., J) that bring the end effector as near to poses as it gets.

    Damped least squares (Nakamura and Hanafusa 1986), clipped to the ranges in every round. An arm
    with fewer than six joints, or one whose range ends before, comes near only: what it reaches is
    ``chain.pose`` of the answer.

    Args:
        chain: The arm.
        base_T_ee: (..., 4, 4) wanted [m].
        start: (J,) or (..., J) to begin the search from [rad].
        low: (J,) smallest angles [rad].
        high: (J,) largest angles [rad].
    """
    q = np.broadcast_to(np.clip(start, low, high), (*base_T_ee.shape[:-2], len(chain)))
    best, nearest = q, np.full(q.shape[:-1], np.inf)
    for _ in range(_ROUNDS):
        way = motion_between(chain.pose(q), base_T_ee)
        left = np.linalg.norm(way, axis=-1)
        best = np.where((left < nearest)[..., None], q, best)
        nearest = np.minimum(left, nearest)
        if (left < _ENOUGH).all():
            break
        step = _step(chain.jacobian(q), way, _HOMEWARD * (start - q))
        longest = np.abs(step).max(axis=-1, keepdims=True)
        q = np.clip(
            q + step * np.minimum(1.0, _LONGEST_RAD / np.maximum(longest, 1e-12)), low, high
        )
    return best


def _step(J: Array, way: Array, aside: Array) -> Array:
    """The least joint motion (..., J) along `way`, and `aside` where that does not disturb."""
    Jt = np.swapaxes(J, -1, -2)
    JJt = J @ Jt
    along = Jt @ np.linalg.solve(JJt + _DAMPING**2 * np.eye(6), way[..., None])
    disturbance = np.linalg.solve(JJt + _TINY * np.eye(6), J @ aside[..., None])
    return (along - Jt @ disturbance)[..., 0] + aside


def motion_between(base_T_a: Array, base_T_b: Array) -> Array:
    """Returns (..., 6): translation [m] and rotation vector [rad] from a to b, in the base."""
    turn = base_T_b[..., :3, :3] @ np.swapaxes(base_T_a[..., :3, :3], -1, -2)
    shift = base_T_b[..., :3, 3] - base_T_a[..., :3, 3]
    return np.concatenate([shift, rotvec_from_matrix(turn)], axis=-1)


def between(base_T_a: Array, base_T_b: Array, fraction: float) -> Array:
    """Returns the pose (4, 4) that lies `fraction` of the straight way from a to b."""
    way = fraction * motion_between(base_T_a, base_T_b)
    return transform(matrix_from_rotvec(way[3:]) @ base_T_a[:3, :3], base_T_a[:3, 3] + way[:3])
