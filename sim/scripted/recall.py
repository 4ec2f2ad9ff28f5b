"""Scripted expert of `recall`, which remembers."""

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.observation import Observation
from sim.envs.recall import MARKS, MIDDLE, TASK, TOP_M
from sim.scripted.carry import carry, release
from sim.scripted.grasp import Grasp, holds, pick
from sim.scripted.motion import pointing_down, towards
from sim.scripted.scene import Pose, Scene

_ENTER_M, _LEAVE_M = 0.0, TOP_M + 0.02
"""Heights at which the cube gets to the middle, and from which it leaves [m]."""
_RISE_M = 0.006
"""What is commanded per step while it rises slowly; the arm covers a quarter of it [m]."""
_IN_THE_MIDDLE_M = 0.012
_TABLE_M = -0.08


class RecallExpert:
    """Picks the cube, brings it to the middle, rises slowly, puts it back and lets go.

    It remembers two things: the mark, which is gone from sight while the cube is in the middle, and
    whether it has been at the top.
    """

    quality = "expert"

    def __init__(self) -> None:
        self._mark: NDArray[np.floating] | None = None
        self._been_up = False

    def reset(self, rng: np.random.Generator) -> None:
        """Forgets the mark; nothing is left to chance."""
        del rng
        self._mark, self._been_up = None, False

    def act(self, observation: Observation) -> NDArray[np.float32]:
        """Returns the action for an observation."""
        scene = Scene.read(observation, TASK)
        cube = scene.objects["cube"]
        if self._mark is None:
            self._mark = min(MARKS, key=lambda mark: np.linalg.norm(cube.position[:2] - mark))
        grasp = Grasp(Pose(cube.position, pointing_down()), closed_low=0.2, closed_high=0.6)
        home = np.append(self._mark, _TABLE_M)
        if self._been_up and np.linalg.norm(cube.position - home) < 0.02:
            return release(scene, open_at=0.2)
        if not holds(scene, grasp):
            return pick(scene, grasp)
        self._been_up = self._been_up or self._at_the_top(cube)
        if self._been_up:
            return carry(scene, cube, home, height_m=0.06, tolerance_m=0.01)
        return self._to_the_top(scene, cube)

    def _at_the_top(self, cube: Pose) -> bool:
        aside = np.linalg.norm(cube.position[:2] - MIDDLE)
        return bool(aside < _IN_THE_MIDDLE_M and cube.position[2] > _LEAVE_M)

    def _to_the_top(self, scene: Scene, cube: Pose) -> NDArray[np.float32]:
        aside = float(np.linalg.norm(cube.position[:2] - MIDDLE))
        if aside > _IN_THE_MIDDLE_M and cube.position[2] < _ENTER_M + 0.02:
            # Up first, then across: the table is in the way.
            enough = cube.position[2] > _ENTER_M - 0.02
            goal = np.append(MIDDLE if enough else cube.position[:2], _ENTER_M)
        else:
            goal = np.append(MIDDLE, cube.position[2] + _RISE_M)
        target = Pose(scene.ee.position + goal - cube.position, pointing_down())
        return towards(scene, target, close=True)
