"""Small motions of rigid transforms: the six numbers that covariances and solvers speak of.

A step (r, t) is a rotation vector [rad] and a translation [m], both in frame b of ``a_T_b``:
a_T_b moved by it is a_T_b · (Exp(r), t).
"""

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.geometry import matrix_from_rotvec, rotvec_from_matrix, transform

type Array = NDArray[np.floating]


def moved(a_T_b: Array, step: Array) -> Array:
    """Moves transforms (..., 4, 4) by steps (..., 6)."""
    return a_T_b @ transform(matrix_from_rotvec(step[..., :3]), step[..., 3:])


def step_between(a_T_b: Array, a_T_c: Array) -> Array:
    """Returns the steps (..., 6) by which `moved` gets from the first to the second."""
    R_T = np.swapaxes(a_T_b[..., :3, :3], -1, -2)
    r = rotvec_from_matrix(R_T @ a_T_c[..., :3, :3])
    t = (R_T @ (a_T_c[..., :3, 3] - a_T_b[..., :3, 3])[..., None])[..., 0]
    return np.concatenate([r, t], axis=-1)


def cross_matrices(v: Array) -> Array:
    """[v]x of (..., 3) vectors, (..., 3, 3)."""
    zero = np.zeros_like(v[..., 0])
    x, y, z = np.moveaxis(v, -1, 0)
    rows = ((zero, -z, y), (z, zero, -x), (-y, x, zero))
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def mean_rotation(matrices: Array) -> Array:
    """The rotation (3, 3) nearest to the mean of (n, 3, 3)."""
    U, _, Vt = np.linalg.svd(np.asarray(matrices).mean(axis=0))
    return U @ np.diag([1.0, 1.0, np.linalg.det(U @ Vt)]) @ Vt


def apply(a_T_b: Array, points: Array) -> Array:
    """Maps points (n, 3) from b to a."""
    return points @ a_T_b[:3, :3].T + a_T_b[:3, 3]
