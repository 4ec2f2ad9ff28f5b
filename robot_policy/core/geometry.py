"""Rotations and rigid transforms, numpy only, batched over leading axes.

Rotation matrices are (..., 3, 3) and act on column vectors. Quaternions are ``quat_wxyz``:
(..., 4), scalar first, unit length. Rotation vectors are axis times angle [rad]. ``a_T_b`` is a
(..., 4, 4) transform that maps coordinates in frame b to frame a.
"""

import numpy as np
from numpy.typing import NDArray

type Array = NDArray[np.floating]

_SMALL_ANGLE = 1e-6
_NEAR_HALF_A_TURN = np.pi / 4


def _skew(v: Array) -> Array:
    """Cross-product matrix [v]x of (..., 3) vectors."""
    K = np.zeros((*v.shape, 3))
    K[..., 2, 1], K[..., 0, 2], K[..., 1, 0] = v[..., 0], v[..., 1], v[..., 2]
    return K - np.swapaxes(K, -1, -2)


def matrix_from_rotvec(rotvec: Array) -> Array:
    """(..., 3) rotation vector [rad] to matrix, by Rodrigues' formula.

    R = I + sin(a)/a [r]x + (1 - cos(a))/a^2 [r]x^2 with a = |r|.
    """
    rotvec = np.asarray(rotvec, dtype=np.float64)
    angle = np.linalg.norm(rotvec, axis=-1)[..., None, None]
    small = angle < _SMALL_ANGLE
    safe = np.where(small, 1.0, angle)
    a = np.where(small, 1.0 - angle**2 / 6.0, np.sin(safe) / safe)
    b = np.where(small, 0.5 - angle**2 / 24.0, (1.0 - np.cos(safe)) / safe**2)
    K = _skew(rotvec)
    return np.eye(3) + a * K + b * (K @ K)


def rotvec_from_matrix(R: Array) -> Array:
    """Rotation matrix to rotation vector [rad], angle in [0, pi]."""
    return rotvec_from_quat(quat_from_matrix(R))


def rotvec_from_quat(quat_wxyz: Array) -> Array:
    """Unit quaternion to rotation vector [rad], angle in [0, pi]."""
    q = np.asarray(quat_wxyz, dtype=np.float64)
    q = np.where(q[..., :1] < 0, -q, q)
    sine = np.linalg.norm(q[..., 1:], axis=-1, keepdims=True)
    small = sine < _SMALL_ANGLE
    safe = np.where(small, 1.0, sine)
    scale = np.where(small, 2.0, 2.0 * np.arctan2(sine, q[..., :1]) / safe)
    return q[..., 1:] * scale


def rotvec_near(rotvec: Array, near: Array) -> Array:
    """Of all rotation vectors of one rotation the one closest to `near`; (3,) each [rad].

    They are ``(a + 2 pi k) u`` for angle a about axis u. The one of length at most pi jumps where
    a rotation passes half a turn; one near the last does not.
    """
    rotvec, near = np.asarray(rotvec, dtype=np.float64), np.asarray(near, dtype=np.float64)
    angle = float(np.linalg.norm(rotvec))
    if angle < _SMALL_ANGLE:  # the axis is anybody's choice
        length = float(np.linalg.norm(near))
        turns = 2.0 * np.pi * round(length / (2.0 * np.pi))
        return near * (turns / length) if turns else rotvec
    axis = rotvec / angle
    turns = round((float(axis @ near) - angle) / (2.0 * np.pi))
    return (angle + 2.0 * np.pi * turns) * axis


def rotvec_named(rotvec: Array) -> Array:
    """The name that a rotation gets where none came before it, (3,) [rad].

    Near half a turn the shortest rotation vector flips its sign with the least noise. There it is
    the one whose largest entry is positive.
    """
    rotvec = np.asarray(rotvec, dtype=np.float64)
    angle = float(np.linalg.norm(rotvec))
    if abs(angle - np.pi) > _NEAR_HALF_A_TURN or rotvec[np.argmax(np.abs(rotvec))] > 0.0:
        return rotvec
    return rotvec * (1.0 - 2.0 * np.pi / angle)


def quat_from_matrix(R: Array) -> Array:
    """Rotation matrix to ``quat_wxyz`` with w >= 0.

    The quaternion is the eigenvector of the largest eigenvalue of a symmetric 4 x 4 matrix (Bar-
    Itzhack 2000), which stays accurate at every angle and for slightly non-orthogonal input.
    """
    (m00, m01, m02), (m10, m11, m12), (m20, m21, m22) = (
        np.moveaxis(row, -1, 0) for row in np.moveaxis(np.asarray(R, dtype=np.float64), -2, 0)
    )
    zero = np.zeros_like(m00)
    rows = (
        (m00 + m11 + m22, zero, zero, zero),
        (m21 - m12, m00 - m11 - m22, zero, zero),
        (m02 - m20, m01 + m10, m11 - m00 - m22, zero),
        (m10 - m01, m02 + m20, m12 + m21, m22 - m00 - m11),
    )
    K = np.stack([np.stack(r, -1) for r in rows], -2)  # lower triangle is what eigh reads
    quat = np.linalg.eigh(K)[1][..., -1]
    return np.where(quat[..., :1] < 0, -quat, quat)


def matrix_from_quat(quat_wxyz: Array) -> Array:
    """``quat_wxyz`` of any non-zero length to rotation matrix."""
    q = np.asarray(quat_wxyz, dtype=np.float64)
    q = q / np.linalg.norm(q, axis=-1, keepdims=True)
    w, v = q[..., 0, None, None], q[..., 1:]
    K = _skew(v)
    return np.eye(3) + 2.0 * w * K + 2.0 * (K @ K)


def rot6d_from_matrix(R: Array) -> Array:
    """First two columns of a rotation matrix, (..., 6): continuous (Zhou et al. 2019)."""
    columns = np.asarray(R)
    return np.concatenate([columns[..., :, 0], columns[..., :, 1]], axis=-1)


def matrix_from_rot6d(rot6d: Array) -> Array:
    """Inverse of `rot6d_from_matrix`, by Gram-Schmidt; (..., 6) to matrix."""
    rot6d = np.asarray(rot6d, dtype=np.float64)
    x = rot6d[..., :3] / np.linalg.norm(rot6d[..., :3], axis=-1, keepdims=True)
    y = rot6d[..., 3:] - np.sum(x * rot6d[..., 3:], -1, keepdims=True) * x
    y = y / np.linalg.norm(y, axis=-1, keepdims=True)
    return np.stack([x, y, np.cross(x, y)], axis=-1)


def transform(R: Array, position: Array) -> Array:
    """Builds ``a_T_b`` from the rotation and position [m] of frame b in frame a."""
    a_T_b = np.zeros((*np.shape(R)[:-2], 4, 4))
    a_T_b[..., :3, :3] = R
    a_T_b[..., :3, 3] = position
    a_T_b[..., 3, 3] = 1.0
    return a_T_b


def inverse(a_T_b: Array) -> Array:
    """Returns ``b_T_a``."""
    R_T = np.swapaxes(a_T_b[..., :3, :3], -1, -2)
    return transform(R_T, -(R_T @ a_T_b[..., :3, 3:])[..., 0])
