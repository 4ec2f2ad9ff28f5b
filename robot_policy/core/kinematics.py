"""Where the end effector is for given joint angles, and how it moves with them; numpy only."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.errors import SpecError
from robot_policy.core.geometry import matrix_from_rotvec, transform

type Array = NDArray[np.floating[Any]]

_DAMPING = 0.05
"""Keeps joint motions finite where the arm is singular: none is magnified more than tenfold."""

_UNIT_TOLERANCE = 1e-3


@dataclass(frozen=True, slots=True)
class Placement:
    """A frame in its parent, as URDF writes it.

    Attributes:
        xyz: Position [m].
        rpy: Fixed-axis roll, pitch, yaw [rad]: R = Rz(yaw) Ry(pitch) Rx(roll).
    """

    xyz: tuple[float, float, float] = (0.0, 0.0, 0.0)
    rpy: tuple[float, float, float] = (0.0, 0.0, 0.0)

    @property
    def matrix(self) -> Array:
        """(4, 4) ``parent_T_frame``."""
        x, y, z = (
            matrix_from_rotvec(angle * axis)
            for angle, axis in zip(self.rpy, np.eye(3), strict=True)
        )
        return transform(z @ y @ x, np.array(self.xyz))


class KinematicChain:
    """Revolute joints one after the other, from the base to the end effector.

    ``base_T_ee(q) = A_1 R_1(q_1) … A_J R_J(q_J) tool``, where ``A_i`` places joint i at angle zero
    and ``R_i`` turns about its axis by Rodrigues' formula.

    Args:
        placements: (J, 4, 4) joint frames at angle zero, each in the joint frame before it.
        axes: (J, 3) unit vectors that the joints turn about, in their frames.
        tool: (4, 4) the end effector in the frame of the last joint.

    Raises:
        SpecError: If an axis is not of unit length, or there is no joint.
    """

    def __init__(self, placements: Sequence[Array], axes: Array, tool: Array) -> None:
        if not len(placements):
            raise SpecError("a chain needs at least one joint", where="kinematics")
        for number, axis in enumerate(axes):
            if not abs(np.linalg.norm(axis) - 1.0) < _UNIT_TOLERANCE:
                raise SpecError(
                    "not a unit vector", where=f"axis of joint {number + 1}", got=list(axis)
                )
        self._placements = np.stack(placements)
        self._axes = np.asarray(axes, dtype=np.float64)
        self._tool = np.asarray(tool, dtype=np.float64)
        x, y, z = self._axes.T
        o = np.zeros_like(x)
        self._K = np.array([[o, -z, y], [z, o, -x], [-y, x, o]]).transpose(2, 0, 1)  # (J, 3, 3)
        self._KK = self._K @ self._K
        self._last_motion: tuple[bytes, Array] = b"", np.empty(0)

    def __len__(self) -> int:
        """J."""
        return len(self._axes)

    def pose(self, joint_positions: Array) -> Array:
        """Returns (..., 4, 4) ``base_T_ee`` [m] for joint angles (..., J) [rad]."""
        return self._frames(joint_positions)[..., -1, :, :] @ self._tool

    def jacobian(self, joint_positions: Array) -> Array:
        """Returns the geometric Jacobian (..., 6, J) at (..., J) [rad].

        Column i is ``(z_i x (p_ee - p_i), z_i)`` with axis ``z_i`` and origin ``p_i`` of joint i in
        the base frame: translation [m/rad], then rotation, both in the base frame.
        """
        frames = self._frames(joint_positions)
        axes: Array = np.einsum("...jab,jb->...ja", frames[..., :3, :3], self._axes)
        arms: Array = (frames[..., -1, :, :] @ self._tool)[..., None, :3, 3] - frames[..., :3, 3]
        crossed = np.cross(axes, arms)
        return np.swapaxes(np.concatenate([crossed, axes], axis=-1), -1, -2)

    def joint_motion(self, joint_positions: Array) -> Array:
        """Returns (J, 6): the least joint motion for a small motion of the end effector.

        The damped pseudo-inverse ``J^T (J J^T + d^2 I)^-1`` (Nakamura and Hanafusa 1986), for
        translation [m] and rotation vector [rad] in the base frame.
        """
        key = np.asarray(joint_positions, dtype=np.float64).tobytes()
        if self._last_motion[0] != key:  # several limits ask at one state
            J = self.jacobian(joint_positions)
            self._last_motion = key, np.linalg.solve(J @ J.T + _DAMPING**2 * np.eye(6), J).T
        return self._last_motion[1]

    def _frames(self, joint_positions: Array) -> Array:
        """(..., J, 4, 4) frames of the joints in the base, turned by their angles."""
        q = np.asarray(joint_positions, dtype=np.float64)[..., None, None]
        turned = np.zeros((*q.shape[:-2], 4, 4))
        turned[..., :3, :3] = np.eye(3) + np.sin(q) * self._K + (1.0 - np.cos(q)) * self._KK
        turned[..., 3, 3] = 1.0
        steps = self._placements @ turned
        frames = np.empty_like(steps)
        frames[..., 0, :, :] = steps[..., 0, :, :]
        for i in range(1, len(self)):
            frames[..., i, :, :] = frames[..., i - 1, :, :] @ steps[..., i, :, :]
        return frames
