"""Scripted expert of `language`, which reads the instruction."""

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.observation import Observation
from sim.envs.language.goals import PUSHES, Goal, goal_of
from sim.envs.language.objects import CUBES, HALF_SIZE_M, TABLE_M
from sim.envs.language.task import TASK
from sim.scripted.carry import carry, release
from sim.scripted.expert import Reactive
from sim.scripted.grasp import Grasp, holds, pick
from sim.scripted.motion import nearest_yaw, pointing_down, towards
from sim.scripted.scene import Pose, Scene

_LIFT_M = 0.15
_HOVER_M = 0.09
_BEHIND_M = 0.055
_LOW_M = TABLE_M + 0.022
"""Height of the finger tips' middle when they push."""
_ABOVE_TOP_M = 0.015
_QUARTER = np.pi / 2
_OPEN_AT = 0.36
"""Gripper fraction below which the fingers no longer touch an object."""
_LET_GO_ABOVE_M = 0.01


class LanguageExpert(Reactive):
    """Does what the instruction says, by the present observation alone."""

    def act(self, observation: Observation) -> NDArray[np.float32]:
        """Returns the action for an observation.

        Raises:
            UnknownNameError: If the instruction is none of the suite.
        """
        goal = goal_of(observation.instruction)
        scene = Scene.read(observation, TASK)
        if goal.kind == "touch":
            return _touch(scene, scene.objects[goal.target])
        if goal.kind in PUSHES:
            return _push(scene, scene.objects[goal.target], PUSHES[goal.kind])
        return _handle(scene, goal)


def _handle(scene: Scene, goal: Goal) -> NDArray[np.float32]:
    """Lifts the target, or brings it to its place and lets go."""
    target = scene.objects[goal.target]
    place = goal.place({name: pose.position for name, pose in scene.objects.items()})
    if place is not None:
        offset = target.position - place
        near = 0.012 if goal.kind == "stack" else 0.02
        if np.linalg.norm(offset[:2]) < near and offset[2] < _LET_GO_ABOVE_M:
            return release(scene, open_at=_OPEN_AT)
    yaw = scene.ee.yaw
    if goal.target in CUBES:
        yaw = nearest_yaw(target.yaw, 0.0, period=_QUARTER)
    grasp = Grasp(Pose(target.position, pointing_down(yaw)), closed_low=0.36, closed_high=0.7)
    if not holds(scene, grasp):
        return pick(scene, grasp)
    if place is None:
        above = Pose(scene.ee.position + np.array([0.0, 0.0, _LIFT_M]), scene.ee.R)
        return towards(scene, above, close=True)
    return carry(scene, target, place, height_m=0.06, tolerance_m=0.006)


def _touch(scene: Scene, target: Pose) -> NDArray[np.float32]:
    top = target.position + np.array([0.0, 0.0, HALF_SIZE_M + _ABOVE_TOP_M])
    aside = float(np.linalg.norm((top - scene.ee.position)[:2]))
    height = min(_HOVER_M, 4.0 * max(0.0, aside - 0.012))
    over = Pose(top + np.array([0.0, 0.0, height]), pointing_down())
    return towards(scene, over, close=True)


def _push(scene: Scene, target: Pose, along: NDArray[np.floating]) -> NDArray[np.float32]:
    """Goes behind the target with closed fingers, down, and on along the line through it."""
    here = scene.ee.position
    offset = target.position[:2] - here[:2]
    ahead = float(along @ offset)
    aside = offset - ahead * along
    low = here[2] < _LOW_M + 0.02
    behind = ahead > 0.02 and np.linalg.norm(aside) < 0.025
    if low and behind:
        # A step beyond where the target is, and back to the line.
        goal = here[:2] + 0.03 * along + aside
        return towards(scene, Pose(np.append(goal, _LOW_M), pointing_down()), close=True)
    start = target.position[:2] - _BEHIND_M * along
    away = float(np.linalg.norm(start - here[:2]))
    # Down only where the fingers do not come down on the target.
    height = min(_HOVER_M, 5.0 * max(0.0, away - 0.008))
    if low and not behind and away > 0.02:
        height = _HOVER_M
    return towards(scene, Pose(np.append(start, _LOW_M + height), pointing_down()), close=True)
