"""Scripted expert of `stack`."""

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.observation import Observation
from sim.envs.stack import TASK
from sim.scripted.carry import carry, release
from sim.scripted.expert import Reactive
from sim.scripted.grasp import Grasp, holds, pick
from sim.scripted.motion import nearest_yaw, pointing_down
from sim.scripted.scene import Pose, Scene

_ON_TOP = np.array([0.0, 0.0, 0.045])
"""From the centre of the green cube to that of the red one on it [m]."""

_LET_GO_ABOVE_M = 0.004
_QUARTER = np.pi / 2


class StackExpert(Reactive):
    """Takes the red cube by its sides, puts it on the green one and lets go."""

    def act(self, observation: Observation) -> NDArray[np.float32]:
        """Returns the action for an observation."""
        scene = Scene.read(observation, TASK)
        red, green = scene.objects["red_cube"], scene.objects["green_cube"]
        goal = green.position + _ON_TOP
        offset = red.position - goal
        if np.linalg.norm(offset[:2]) < 0.015 and abs(offset[2]) < 2 * _LET_GO_ABOVE_M:
            return release(scene, open_at=0.38)
        yaw = nearest_yaw(red.yaw, scene.ee.yaw, period=_QUARTER)
        grasp = Grasp(Pose(red.position, pointing_down(yaw)), closed_low=0.38, closed_high=0.7)
        if holds(scene, grasp):
            return carry(scene, red, goal, height_m=0.06, tolerance_m=0.006)
        return pick(scene, grasp)
