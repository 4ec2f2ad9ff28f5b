"""Poses as they stand in files, and what is usually wrong with them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.errors import DataError
from robot_policy.core.geometry import (
    matrix_from_quat,
    matrix_from_rotvec,
    quat_from_matrix,
    transform,
)

type Array = NDArray[np.floating]

_TOLERANCE = 2e-3
_REACH_M = 20.0


def pose_from_json(value: Any, *, where: object) -> Array:
    """Reads a pose: 4 x 4 rows, ``{"position": [m], "quat_wxyz": …}``, or with ``rotvec_rad``.

    Returns:
        (4, 4), its rotation made exactly orthogonal.

    Raises:
        DataError: If it is none, with the likely cause where there is one.
    """
    try:
        if isinstance(value, Mapping):
            position = np.array(value["position"], dtype=np.float64).reshape(3)
            matrix = transform(_rotation(value, where=where), position)
        else:
            matrix = np.array(value, dtype=np.float64).reshape(4, 4)
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            "not a pose",
            where=where,
            expected="4 x 4 rows, or position [m] and quat_wxyz or rotvec_rad",
            got=repr(error),
        ) from error
    return _checked(matrix, where=where)


def pose_to_json(a_T_b: Array) -> dict[str, list[float]]:
    """Writes a pose as position [m] and ``quat_wxyz``."""
    return {
        "position": a_T_b[:3, 3].tolist(),
        "quat_wxyz": quat_from_matrix(a_T_b[:3, :3]).tolist(),
    }


def _rotation(value: Mapping[str, Any], *, where: object) -> Array:
    if "rotvec_rad" in value:
        rotvec = np.array(value["rotvec_rad"], dtype=np.float64).reshape(3)
        angle = float(np.linalg.norm(rotvec))
        if angle > 2 * np.pi + _TOLERANCE:
            raise DataError(
                "rotvec_rad is longer than a whole turn",
                where=where,
                got=f"{angle:.4g}",
                hint="rotations in degrees?",
            )
        return matrix_from_rotvec(rotvec)
    quat_wxyz = np.array(value["quat_wxyz"], dtype=np.float64).reshape(4)
    length = float(np.linalg.norm(quat_wxyz))
    if abs(length - 1.0) > _TOLERANCE:
        raise DataError("quat_wxyz is not of length 1", where=where, got=round(length, 4))
    return matrix_from_quat(quat_wxyz)


def _checked(matrix: Array, *, where: object) -> Array:
    if not np.isfinite(matrix).all():
        raise DataError("a pose that is not finite", where=where, got=matrix.tolist())
    if not np.allclose(matrix[3], (0.0, 0.0, 0.0, 1.0)):
        hint = "it looks transposed" if np.allclose(matrix[:3, 3], 0.0) else None
        raise DataError(
            "the last row of a pose is 0 0 0 1", where=where, got=matrix[3].tolist(), hint=hint
        )
    R = matrix[:3, :3]
    if np.abs(R @ R.T - np.eye(3)).max() > _TOLERANCE:
        scale = float(np.cbrt(abs(np.linalg.det(R))))
        raise DataError(
            "the rotation of a pose is not orthogonal", where=where, got=f"scale {scale:.4g}"
        )
    if np.linalg.det(R) < 0:
        raise DataError(
            "the rotation of a pose is a reflection",
            where=where,
            hint="an axis is flipped: left-handed coordinates, or one sign too many",
        )
    distance = float(np.linalg.norm(matrix[:3, 3]))
    if distance > _REACH_M:
        raise DataError(
            "the gripper is further from the base than any arm reaches",
            where=where,
            expected="metres",
            got=f"{distance:.4g}",
            hint="positions in millimetres?",
        )
    U, _, Vt = np.linalg.svd(R)
    return transform(U @ Vt, matrix[:3, 3])
