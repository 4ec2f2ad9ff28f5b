"""Scripted expert of `recall-count`, which counts."""

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.observation import Observation
from sim.envs.recall_count import LOW_M, MARKS, PLACE, TASK, TOP_M
from sim.scripted.carry import carry, release
from sim.scripted.grasp import Grasp, holds, pick
from sim.scripted.motion import pointing_down, towards
from sim.scripted.scene import Pose, Scene

_TABLE_M = -0.083
_BEYOND_M = 0.02
"""How far beyond the heights of a lift it aims [m]."""


_CLOSING = 0.02
"""Change of the gripper fraction per step above which the fingers are still on their way."""


class RecallCountExpert:
    """Picks the cube, brings it to the place, lifts and lowers it, and lets go.

    It remembers the mark, and how often it has lifted.
    """

    quality = "expert"

    def __init__(self) -> None:
        self._begin()

    def reset(self, rng: np.random.Generator) -> None:
        """Forgets everything; nothing is left to chance."""
        del rng
        self._begin()

    def _begin(self) -> None:
        self._left = 0
        self._seen, self._placed, self._rising = False, False, False
        self._closed = 0.0

    def act(self, observation: Observation) -> NDArray[np.float32]:
        """Returns the action for an observation."""
        scene = Scene.read(observation, TASK)
        cube = scene.objects["cube"]
        if not self._seen:
            apart = [float(np.linalg.norm(cube.position[:2] - mark)) for mark in MARKS]
            self._left, self._seen = int(np.argmin(apart)) + 1, True
        self._count(cube)
        if self._placed and not self._left and not self._rising and cube.position[2] < LOW_M:
            return release(scene, open_at=0.15)
        grasp = Grasp(Pose(cube.position, pointing_down()), closed_low=0.16, closed_high=0.6)
        closing = scene.closed - self._closed > _CLOSING
        self._closed = scene.closed
        if not holds(scene, grasp):
            return pick(scene, grasp)
        if closing:  # lifted now, the cube would slip, and be carried by its tip
            return towards(scene, grasp.pose, close=True)
        if not self._placed:
            low = np.append(PLACE, _TABLE_M)
            return carry(scene, cube, low, height_m=0.06, tolerance_m=0.01)
        goal = np.append(PLACE, TOP_M + _BEYOND_M if self._rising else _TABLE_M)
        target = Pose(scene.ee.position + goal - cube.position, pointing_down())
        return towards(scene, target, close=True)

    def _count(self, cube: Pose) -> None:
        """Takes in where the cube has got to: a lift begins low and ends high."""
        there = bool(np.linalg.norm(cube.position[:2] - PLACE) < _BEYOND_M)
        if there and cube.position[2] < LOW_M - 0.5 * _BEYOND_M:
            self._placed = True
            self._rising = self._left > 0
        elif self._rising and cube.position[2] > TOP_M + 0.5 * _BEYOND_M:
            self._rising = False
            self._left -= 1
