"""Actions in end-effector space as displacements from where the end effector is, and back."""

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.geometry import matrix_from_rotvec, rotvec_from_matrix
from robot_policy.core.robot import RobotDescription
from robot_policy.core.specs import ActionSpace
from robot_policy.runtime.safety.sent import Sent

EE_SPACES = (ActionSpace.EE_DELTA_POSE, ActionSpace.EE_POSE)

TRANSLATION, ROTATION = slice(0, 3), slice(3, 6)

_TOLERANCE = 1e-5
_TOLERANCE_M_OR_RAD = 1e-6
"""Relative and absolute excess that is not restricted: what rounding to float32 leaves after a
restriction. It makes filtering twice the same as filtering once."""


def displacement(
    robot: RobotDescription, action: NDArray[np.float32], state: NDArray[np.float32]
) -> NDArray[np.floating]:
    """Returns (6,): translation [m] and rotation vector [rad] from here to the commanded pose."""
    motion = action[:6].astype(np.float64)
    if robot.command.action_space.is_delta:
        return motion
    R = matrix_from_rotvec(motion[ROTATION]) @ robot.ee_rotation(state).T
    return np.concatenate([motion[TRANSLATION] - robot.ee_position(state), rotvec_from_matrix(R)])


def reference(
    robot: RobotDescription, sent: Sent, state: NDArray[np.float32]
) -> NDArray[np.floating]:
    """Returns (6,): the displacement from here to the last commanded pose.

    Zero for commands that are displacements themselves: each begins where the robot is.
    """
    if robot.command.action_space.is_delta or not sent.actions:
        return np.zeros(6)
    return displacement(robot, sent.actions[-1], state)


def shortened(
    robot: RobotDescription,
    action: NDArray[np.float32],
    state: NDArray[np.float32],
    fraction: float,
    *,
    part: slice = slice(0, 6),
) -> NDArray[np.float32]:
    """Returns the action that goes only `fraction` (0 .. 1) of the way, in the same direction.

    Args:
        robot: Tells what the action means.
        action: (A,).
        state: (S,).
        fraction: Of the way that remains.
        part: `TRANSLATION`, `ROTATION` or both; the rest is left alone.
    """
    result = action.copy()
    if robot.command.action_space.is_delta:
        result[part] = fraction * action[part]
        return result
    way = displacement(robot, action, state)
    here = robot.ee_position(state)
    if part.start < ROTATION.start:
        position = here + fraction * way[TRANSLATION]
        low, high = np.minimum(here, action[:3]), np.maximum(here, action[:3])
        result[TRANSLATION] = np.clip(position, low, high)  # rounding must not widen it
    if part.stop > ROTATION.start:
        R = matrix_from_rotvec(fraction * way[ROTATION]) @ robot.ee_rotation(state)
        result[ROTATION] = rotvec_from_matrix(R)
    return result


def fraction_within(way: NDArray[np.floating], last: NDArray[np.floating], radius: float) -> float:
    """How far one may go along `way` without a step longer than `radius`.

    The step is counted from `last`, the set point before, so that an arm that lags behind its set
    points may be led on. What lies between the robot and the places that are allowed is allowed
    too, because that is slower: the set is the convex hull of the origin and of the ball around
    `last`, and the fraction is the largest s in 0 .. 1 with ``s * way`` in it.

    Args:
        way: (3,) from the robot to where it is told to go.
        last: (3,) from the robot to where it was told to go before.
        radius: Longest step.
    """
    allowed = radius * (1.0 + _TOLERANCE) + _TOLERANCE_M_OR_RAD
    if np.linalg.norm(way - last) <= allowed or np.linalg.norm(way) <= _TOLERANCE_M_OR_RAD:
        return 1.0
    a, b = float(way @ way), float(way @ last)
    root = b * b - a * (float(last @ last) - radius**2)
    if root < 0.0:  # it passes by the ball
        return 0.0
    return float(np.clip((b + np.sqrt(root)) / a, 0.0, 1.0))
