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

_COMPARTMENT = np.array([0.6975, 0.5025, -0.03])
"""Where the can is let go, a little above the floor of its compartment, base frame [m]."""

_COMPARTMENT_HALF_SIZE = np.array([0.075, 0.095])
_LOW_ENOUGH_M = 0.0
_ABOVE_CENTRE = np.array([0.0, 0.0, 0.015])  # or the palm meets the lid


class CanExpert(Reactive):
    """Takes the can from above, over the walls, and lets go just above the floor."""

    def act(self, observation: Observation) -> NDArray[np.float32]:
        """Returns the action for an observation."""
        scene = Scene.read(observation, TASK)
        can = scene.objects["can"]
        offset = can.position - _COMPARTMENT
        inside = bool((np.abs(offset[:2]) < _COMPARTMENT_HALF_SIZE).all())
        if inside and can.position[2] < _LOW_ENOUGH_M:
            return release(scene, open_at=0.25)
        pose = Pose(can.position + can.upright * _ABOVE_CENTRE, pointing_down())
        grasp = Grasp(pose, closed_low=0.25, closed_high=0.6)
        if holds(scene, grasp):
            return carry(scene, can, _COMPARTMENT, height_m=0.12, tolerance_m=0.03)
        return pick(scene, grasp)
