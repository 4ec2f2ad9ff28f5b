"""Scripted expert of `lift`."""

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.observation import Observation
from sim.envs.lift import TASK
from sim.scripted.expert import Reactive
from sim.scripted.grasp import Grasp, holds, pick
from sim.scripted.motion import pointing_down, towards
from sim.scripted.scene import Pose, Scene

_LIFT_M = 0.15


class LiftExpert(Reactive):
    """Goes over the cube, down, closes and goes up.

    The hand keeps its heading: the fingers turn the cube as they close on it.
    """

    def act(self, observation: Observation) -> NDArray[np.float32]:
        """Returns the action for an observation."""
        scene = Scene.read(observation, TASK)
        cube = scene.objects["cube"].position
        grasp = Grasp(Pose(cube, pointing_down()), closed_low=0.2, closed_high=0.6)
        if holds(scene, grasp):
            above = Pose(scene.ee.position + np.array([0.0, 0.0, _LIFT_M]), pointing_down())
            return towards(scene, above, close=True)
        return pick(scene, grasp)
