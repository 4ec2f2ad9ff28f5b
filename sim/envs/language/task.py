"""Language: do what the instruction says; the scene alone does not tell what that is.

Variants: ``language:KIND`` has goals of one kind; ``+paraphrases`` asks in words that no
demonstration has, ``+shuffled`` tells the instruction of another goal, as a control.
"""

from collections.abc import Mapping
from functools import partial

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.errors import UnknownNameError
from sim.envs.language.goals import BESIDE, NEIGHBOUR_M, PUSHED_M, PUSHES, Goal, Places, goals
from sim.envs.language.objects import BODIES, MOVABLE, TRAY
from sim.envs.rules import Moment, Progress
from sim.envs.task import Task

_LOW, _HIGH = np.array([0.45, -0.21]), np.array([0.67, 0.21])
"""Where objects may stand, x and y in the base frame [m]."""
_APART_M, _FROM_TRAY_M = 0.085, 0.13
_ROOM_M = 0.075
"""From what is moved, on its way, and from where it is put, to the other objects."""
_TRIES = 50
_THERE_M = 0.07
"""From where it should be put, a target that stands there already."""
_WRONG_M = 0.05
"""How far another object may be moved before the episode is lost."""
WORDINGS = ("", "paraphrases", "shuffled")


class LanguageRules:
    """Draws a goal and a scene in which it can be reached, and judges what was done.

    Args:
        kind: Of all goals; None for any.
        wording: Of `WORDINGS`.
    """

    def __init__(self, kind: str | None = None, wording: str = "") -> None:
        self._goals = goals(kind)
        self._wording = wording
        self.instruction = ""
        self.goal = self._goals[0]
        self._before: Mapping[str, NDArray[np.floating]] | None = None

    def begin(self, rng: np.random.Generator) -> Mapping[str, NDArray[np.floating]]:
        """Draws goal, words and places."""
        self.goal = self._goals[int(rng.integers(len(self._goals)))]
        told = self.goal
        if self._wording == "shuffled":
            others = [g for g in goals() if g.target != told.target and g.kind != told.kind]
            told = others[int(rng.integers(len(others)))]
        words = int(rng.integers(6))
        self.instruction = told.said(words, paraphrased=self._wording == "paraphrases")
        self._before = None
        return {
            name: np.append(place, rng.uniform(-np.pi, np.pi) if name != TRAY else 0.0)
            for name, place in _scene(self.goal, rng).items()
        }

    def judge(self, moment: Moment) -> Progress:
        """Lost once another object was moved."""
        now = moment.positions
        if self._before is None:
            self._before = {name: np.array(now[name]) for name in BODIES}
        others = [name for name in BODIES if name != self.goal.target]
        moved = max(float(np.linalg.norm(now[n] - self._before[n])) for n in others)
        if moved > _WRONG_M:
            return Progress.LOST
        reached = self.goal.reached(self._before, now, moment.closed)
        return Progress.REACHED if reached else Progress.OPEN


def _scene(goal: Goal, rng: np.random.Generator) -> Places:
    """Places (2,) of all objects: first those of the goal, then the others where there is room."""
    first = [name for name in (goal.reference, goal.target) if name]
    order = [*first, *(n for n in (TRAY, *MOVABLE) if n not in first)]
    for _ in range(_TRIES):
        places: dict[str, NDArray[np.floating]] = {}
        for name in order:
            place = _free_place(name, goal, places, rng)
            if place is None:
                break
            places[name] = place
        if len(places) == len(order):
            return {name: places[name] for name in (*MOVABLE, TRAY)}
    raise AssertionError(f"no scene for {goal}")


def _free_place(
    name: str, goal: Goal, places: Places, rng: np.random.Generator
) -> NDArray[np.floating] | None:
    """A place with room for `name` beside the `places` of others; None if none is found."""
    for place in rng.uniform(_LOW, _HIGH, (_TRIES, 2)):
        apart = all(
            np.linalg.norm(place - there) > (_FROM_TRAY_M if TRAY in (name, other) else _APART_M)
            for other, there in places.items()
        )
        if apart and _has_room(name, goal, {**places, name: place}):
            return place
    return None


def _has_room(name: str, goal: Goal, places: Places) -> bool:
    """Whether the last that was placed, `name`, leaves the goal its room."""
    if goal.target not in places:
        return True
    way = _way(goal, places)
    if name == goal.target:
        known = goal.kind in BESIDE and np.linalg.norm(way[0] - places[name]) < _THERE_M
        inside = all((p > _LOW - 0.04).all() and (p < _HIGH + 0.06).all() for p in way)
        return inside and not known
    if name == goal.reference:
        return True
    room = _FROM_TRAY_M if name == TRAY else _ROOM_M
    return all(np.linalg.norm(p - places[name]) > room for p in way)


def _way(goal: Goal, places: Places) -> list[NDArray[np.floating]]:
    """Places (2,) that must be free besides that of the target."""
    if goal.kind in PUSHES:
        start, along = places[goal.target], PUSHES[goal.kind]
        return [start + s * along for s in np.linspace(-0.07, PUSHED_M + 0.04, 6)]
    if goal.kind in BESIDE:
        return [places[goal.reference] + NEIGHBOUR_M * BESIDE[goal.kind]]
    return []


def _task(name: str, kind: str | None = None, wording: str = "") -> Task:
    return Task(
        name=name,
        environment="LanguageTable",
        instruction="",
        objects=BODIES,
        offsets=tuple(("ee", target) for target in MOVABLE),
        max_steps=250,
        rules=partial(LanguageRules, kind, wording),
        scene_module="sim.envs.language.scene",
    )


TASK = _task("language")


def variant(name: str) -> Task:
    """Returns ``language[:KIND][+WORDING]``.

    Raises:
        UnknownNameError: If there is no such kind or wording.
    """
    head, _, wording = name.partition("+")
    _, _, kind = head.partition(":")
    if wording not in WORDINGS:
        raise UnknownNameError.of("wording", wording, WORDINGS[1:], where=f"task {name}")
    if kind:
        goals(kind)
    return _task(name, kind or None, wording)
