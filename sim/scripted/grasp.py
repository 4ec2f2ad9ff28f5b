"""Picking an object up from above, as a rule that needs nothing but the present."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.geometry import rotvec_from_matrix
from sim.scripted.motion import towards
from sim.scripted.scene import Pose, Scene

_HOVER_M = 0.07
_OPEN_BELOW = 0.25
"""Gripper fraction under which the fingers are wide enough to go down over an object."""


@dataclass(frozen=True, slots=True, eq=False)
class Grasp:
    """Where to close the fingers, and how closed they are with the object between them.

    Attributes:
        pose: Of the end effector, pointing down.
        closed_low: Gripper fraction above which the fingers touch the object.
        closed_high: Gripper fraction above which nothing is between them.
        tolerance_m: Distance at which to close.
    """

    pose: Pose
    closed_low: float
    closed_high: float
    tolerance_m: float = 0.01


def holds(scene: Scene, grasp: Grasp) -> bool:
    """Whether the object is between the fingers, and they are closed on it."""
    # An object that slips a little between the fingers is still held.
    near = np.linalg.norm(scene.ee.position - grasp.pose.position) < 3.5 * grasp.tolerance_m
    return bool(near and grasp.closed_low <= scene.closed <= grasp.closed_high)


def pick(scene: Scene, grasp: Grasp) -> NDArray[np.float32]:
    """Next command on the way to `holds`.

    Go over the object with open fingers, down a funnel as the hand gets over it, close. Fingers
    that have closed on nothing go up and open again.
    """
    offset = grasp.pose.position - scene.ee.position
    turn = float(np.linalg.norm(rotvec_from_matrix(grasp.pose.R @ scene.ee.R.T)))
    is_open = scene.closed < _OPEN_BELOW
    # Once closing, small shifts of the object must not stop it.
    tolerance = grasp.tolerance_m * (1.0 if is_open else 2.0)
    if np.linalg.norm(offset) < tolerance and scene.closed <= grasp.closed_high:
        return towards(scene, grasp.pose, close=True)
    sideways = float(np.linalg.norm(offset[:2])) + 0.05 * max(0.0, turn - 0.1)
    height = _HOVER_M if not is_open else min(_HOVER_M, 4.0 * max(0.0, sideways - 0.012))
    over = Pose(grasp.pose.position + np.array([0.0, 0.0, height]), grasp.pose.R)
    return towards(scene, over, close=False)
