"""Commands that bring the end effector somewhere, and ways to point it."""

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.geometry import matrix_from_rotvec, rotvec_from_matrix
from sim.scripted.scene import Pose, Scene

MAX_STEP_M = 0.05
MAX_TURN_RAD = 0.5

_POSITION_GAIN = 1.6  # the arm covers a third of a command; more than 2 overshoots
_ROTATION_GAIN = 1.6

_DOWN = np.diag([1.0, -1.0, -1.0])


def pointing_down(yaw: float = 0.0) -> NDArray[np.floating]:
    """``base_R_ee`` of a hand that points down; its fingers open along y turned by `yaw` [rad]."""
    return matrix_from_rotvec(np.array([0.0, 0.0, yaw])) @ _DOWN


def nearest_yaw(yaw: float, near: float, *, period: float) -> float:
    """Of ``yaw + k * period`` the one closest to `near` [rad]."""
    return yaw + period * round((near - yaw) / period)


def towards(scene: Scene, target: Pose, *, close: bool) -> NDArray[np.float32]:
    """Commands the end effector towards `target`, in a straight line.

    Args:
        scene: Where everything is.
        target: Where the end effector should be.
        close: Whether the gripper should be closed.

    Returns:
        (7,) action: displacement [m], rotation vector [rad], gripper.
    """
    shift = _limited(_POSITION_GAIN * (target.position - scene.ee.position), MAX_STEP_M)
    turn = _limited(_ROTATION_GAIN * rotvec_from_matrix(target.R @ scene.ee.R.T), MAX_TURN_RAD)
    return np.concatenate([shift, turn, [float(close)]]).astype(np.float32)


def _limited(vector: NDArray[np.floating], longest: float) -> NDArray[np.floating]:
    length = float(np.linalg.norm(vector))
    return vector if length <= longest else vector * (longest / length)
