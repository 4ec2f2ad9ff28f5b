"""Bringing a held object to its place and letting go, again without memory."""

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.geometry import matrix_from_rotvec
from sim.scripted.motion import towards
from sim.scripted.scene import Pose, Scene

_RETREAT_M = 0.12
_FUNNEL_SLOPE = 5.0
_RISE_FIRST_M = 0.05


def carry(
    scene: Scene,
    held: Pose,
    goal: NDArray[np.floating],
    *,
    turn: float = 0.0,
    height_m: float,
    tolerance_m: float,
) -> NDArray[np.float32]:
    """Next command that brings the held object to `goal`: up, across, and down a funnel.

    Args:
        scene: Where everything is.
        held: Pose of the object.
        goal: (3,) where it should be [m].
        turn: How far it is still to be turned about the vertical [rad].
        height_m: How far above the goal it travels.
        tolerance_m: Distance from the vertical through the goal at which it may go all the way
            down.
    """
    offset = goal - held.position
    sideways = float(np.linalg.norm(offset[:2]))
    outside = max(0.0, sideways - tolerance_m) + 0.05 * max(0.0, abs(turn) - 0.1)
    rise = offset[2] + min(height_m, _FUNNEL_SLOPE * outside)
    # What is still low must come up before it crosses a wall or another object.
    across = np.clip(1.0 - rise / _RISE_FIRST_M, 0.0, 1.0) if outside > 0.0 else 1.0
    shift = np.array([across * offset[0], across * offset[1], rise])
    target = Pose(
        scene.ee.position + shift, _level(matrix_from_rotvec(np.array([0, 0, turn])) @ scene.ee.R)
    )
    return towards(scene, target, close=True)


def release(scene: Scene, *, open_at: float) -> NDArray[np.float32]:
    """Next command that opens the gripper and goes straight up once the object is free.

    Args:
        scene: Where everything is.
        open_at: Gripper fraction below which the fingers no longer touch the object.
    """
    up = _RETREAT_M if scene.closed < open_at else 0.0
    return towards(
        scene, Pose(scene.ee.position + np.array([0.0, 0.0, up]), _level(scene.ee.R)), close=False
    )


def _level(R: NDArray[np.floating]) -> NDArray[np.floating]:
    """A hand with the heading of `R` that points straight down."""
    z = np.array([0.0, 0.0, -1.0])
    x = np.array([R[0, 0], R[1, 0], 0.0])
    x /= np.linalg.norm(x)
    return np.stack([x, np.cross(z, x), z], axis=-1)
