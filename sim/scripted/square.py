"""Scripted expert of `square`."""

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.observation import Observation
from sim.envs.square import TASK
from sim.scripted.carry import carry, release
from sim.scripted.expert import Reactive
from sim.scripted.grasp import Grasp, holds, pick
from sim.scripted.motion import nearest_yaw, pointing_down
from sim.scripted.scene import Pose, Scene

_PEG = np.array([0.79, 0.10])
"""Axis of the square peg in the base frame [m]; its sides are parallel to the axes."""

_OVER_PEG_M = 0.06
_THREADED_BELOW_M = 0.045
_LET_GO_BELOW_M = -0.045
_DOWN_M = -0.075

_HANDLE = np.array([0.054, 0.0, 0.0])
"""Centre of the handle in the frame of the nut [m]."""

_HALF_TURN = np.pi

_NUT_YAWS = np.array([np.pi / 2, np.pi, -np.pi / 2])
"""Headings in which the nut fits. In the fourth the handle points away from the robot, and the
arm does not reach over it."""


class SquareExpert(Reactive):
    """Takes the nut by its handle, turns it like the peg, threads it and lets go."""

    def act(self, observation: Observation) -> NDArray[np.float32]:
        """Returns the action for an observation."""
        scene = Scene.read(observation, TASK)
        nut = scene.objects["nut"]
        sideways = float(np.linalg.norm(nut.position[:2] - _PEG))
        threaded = sideways < 0.012 and nut.position[2] < _THREADED_BELOW_M
        if threaded and nut.position[2] < _LET_GO_BELOW_M:
            return release(scene, open_at=0.45)
        yaw = nearest_yaw(nut.yaw, scene.ee.yaw, period=_HALF_TURN)
        handle = nut.position + nut.R @ _HANDLE
        grasp = Grasp(Pose(handle, pointing_down(yaw)), closed_low=0.45, closed_high=0.75)
        if not holds(scene, grasp):
            return pick(scene, grasp)
        turn = _turn_onto_peg(nut.yaw)
        aligned = sideways < 0.005 and abs(turn) < 0.08
        height = _DOWN_M if threaded or aligned else _OVER_PEG_M
        goal = np.array([*_PEG, height])
        return carry(scene, nut, goal, turn=turn, height_m=0.03, tolerance_m=0.004)


def _turn_onto_peg(yaw: float) -> float:
    """Smallest turn [rad] from a heading of the nut to one in which it fits."""
    turns = [nearest_yaw(float(fit) - yaw, 0.0, period=2 * np.pi) for fit in _NUT_YAWS]
    return min(turns, key=abs)
