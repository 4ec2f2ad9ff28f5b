"""Scripted expert of `can`."""

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.observation import Observation
from sim.envs.can import TASK
from sim.scripted.carry import carry, release
from sim.scripted.expert import Reactive
from sim.scripted.grasp import Grasp, holds, pick
from sim.scripted.motion import pointing_down
from sim.scripted.scene import Pose, Scene

_LET_GO = np.array([0.66, 0.45, -0.035])
"""Where the can is let go, base frame [m]: a little above the floor of its compartment, and at
the near end of it, because the arm does not reach the middle with the hand pointing down."""

_COMPARTMENT_LOW = np.array([0.635, 0.415])
_COMPARTMENT_HIGH = np.array([0.77, 0.60])
_LOW_ENOUGH_M = -0.01
_ABOVE_CENTRE = np.array([0.0, 0.0, 0.015])  # or the palm meets the lid


class CanExpert(Reactive):
    """Takes the can from above, over the walls, and lets go just above the floor."""

    def act(self, observation: Observation) -> NDArray[np.float32]:
        """Returns the action for an observation."""
        scene = Scene.read(observation, TASK)
        can = scene.objects["can"]
        xy = can.position[:2]
        inside = bool((xy > _COMPARTMENT_LOW).all() and (xy < _COMPARTMENT_HIGH).all())
        if inside and can.position[2] < _LOW_ENOUGH_M:
            return release(scene, open_at=0.25)
        pose = Pose(can.position + can.upright * _ABOVE_CENTRE, pointing_down())
        grasp = Grasp(pose, closed_low=0.33, closed_high=0.6)
        if holds(scene, grasp):
            return carry(scene, can, _LET_GO, height_m=0.1, tolerance_m=0.015)
        return pick(scene, grasp)
