"""What may be asked for on the table, in what words, and when it is reached."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.errors import UnknownNameError
from sim.envs.language.objects import CUBES, CYLINDERS, HALF_SIZE_M, MOVABLE, TABLE_M, TRAY

type Places = Mapping[str, NDArray[np.floating]]

NEIGHBOUR_M = 0.1
"""Between the middles of two objects when one is put beside the other [m]."""
PUSHED_M = 0.06
LIFTED_M = 0.06
_TOUCH_M = 0.045
_ON_TABLE_M = 0.012
_OPEN_BELOW = 0.4

PUSHES = {
    "push_left": np.array([0.0, 1.0]),
    "push_right": np.array([0.0, -1.0]),
    "push_away": np.array([1.0, 0.0]),
}
"""Kinds of pushes and where to, x and y in the base frame."""
BESIDE = {"left_of": np.array([0.0, 1.0]), "right_of": np.array([0.0, -1.0])}

TEMPLATES: Mapping[str, tuple[str, ...]] = {
    "lift": ("lift the {a}", "pick up the {a}", "raise the {a}"),
    "touch": ("touch the {a}", "reach for the {a}", "put your hand on the {a}"),
    "push_left": ("push the {a} to the left", "slide the {a} left", "shove the {a} to the left"),
    "push_right": (
        *("push the {a} to the right", "slide the {a} right", "shove the {a} to the right"),
    ),
    "push_away": ("push the {a} away", "push the {a} forward", "slide the {a} forward"),
    "place_in": (
        "put the {a} in the tray",
        "place the {a} into the tray",
        "drop the {a} in the tray",
    ),
    "stack": (
        "stack the {a} on the {b}",
        "put the {a} on the {b}",
        "place the {a} on top of the {b}",
    ),
    "left_of": (
        *("put the {a} left of the {b}", "move the {a} to the left of the {b}"),
        "place the {a} on the left side of the {b}",
    ),
    "right_of": (
        *("put the {a} right of the {b}", "move the {a} to the right of the {b}"),
        "place the {a} on the right side of the {b}",
    ),
}
"""Kinds of goals and how demonstrations ask for them."""

PARAPHRASES: Mapping[str, tuple[str, ...]] = {
    "lift": ("please pick the {a} up", "take the {a} and hold it in the air", "lift up the {a}"),
    "touch": ("go and touch the {a}", "reach out to the {a}", "lay your hand on the {a}"),
    "push_left": ("give the {a} a push to the left", "make the {a} slide to the left"),
    "push_right": ("give the {a} a push to the right", "make the {a} slide to the right"),
    "push_away": ("give the {a} a push forward", "shove the {a} away"),
    "place_in": ("the {a} belongs in the tray", "drop the {a} into the tray please"),
    "stack": ("build a tower with the {a} on the {b}", "set the {a} on top of the {b}"),
    "left_of": ("the {a} should be on the left of the {b}", "set the {a} down left of the {b}"),
    "right_of": ("the {a} should be on the right of the {b}", "set the {a} down right of the {b}"),
}
"""How they are asked for in evaluations of words that no demonstration has."""

KINDS = tuple(TEMPLATES)


@dataclass(frozen=True, slots=True)
class Goal:
    """One thing to do.

    Attributes:
        kind: Of `KINDS`.
        target: The object that is moved or touched.
        reference: The object that it is brought to; "" where there is none.
    """

    kind: str
    target: str
    reference: str = ""

    def said(self, wording: int, *, paraphrased: bool = False) -> str:
        """Returns the instruction in one of its wordings."""
        ways = (PARAPHRASES if paraphrased else TEMPLATES)[self.kind]
        a, b = (name.replace("_", " ") for name in (self.target, self.reference))
        return ways[wording % len(ways)].format(a=a, b=b)

    def place(self, places: Places) -> NDArray[np.floating] | None:
        """Where the target has to be put, (3,) [m]; None where that is not the point."""
        if self.kind == "place_in":
            return places[TRAY] + np.array([0.0, 0.0, HALF_SIZE_M + 0.01])
        if self.kind == "stack":
            return places[self.reference] + np.array([0.0, 0.0, 2 * HALF_SIZE_M])
        if self.kind in BESIDE:
            return places[self.reference] + np.append(NEIGHBOUR_M * BESIDE[self.kind], 0.0)
        return None

    def reached(self, before: Places, now: Places, closed: float) -> bool:
        """Whether it holds.

        Args:
            before: Places at the start of the episode, base frame [m].
            now: Places now, with ``"ee"``.
            closed: Gripper, 0 open to 1 closed.
        """
        target, moved = now[self.target], now[self.target] - before[self.target]
        if self.kind == "lift":
            return bool(moved[2] > LIFTED_M)
        if self.kind == "touch":
            return bool(np.linalg.norm(now["ee"] - target) < _TOUCH_M and abs(moved[2]) < 0.01)
        if self.kind in PUSHES:
            along = PUSHES[self.kind]
            sideways = abs(float(np.cross(np.append(along, 0.0), moved)[2]))
            lies = target[2] < TABLE_M + HALF_SIZE_M + _ON_TABLE_M
            return bool(along @ moved[:2] > PUSHED_M and sideways < PUSHED_M and lies)
        place = self.place(now)
        assert place is not None
        free = closed < _OPEN_BELOW
        if self.kind == "place_in":
            return bool(
                free and np.abs(target - place)[:2].max() < 0.055 and target[2] < place[2] + 0.02
            )
        near = 0.02 if self.kind == "stack" else 0.04
        flat = bool(np.linalg.norm((target - place)[:2]) < near)
        return free and flat and abs(float(target[2] - place[2])) < _ON_TABLE_M


def goals(kind: str | None = None) -> tuple[Goal, ...]:
    """All goals, or those of a kind.

    Raises:
        UnknownNameError: If there is no such kind.
    """
    if kind is not None and kind not in KINDS:
        raise UnknownNameError.of("kind of goal", kind, KINDS)
    return tuple(g for g in _all() if kind in (None, g.kind))


@cache
def _all() -> tuple[Goal, ...]:
    return tuple(_each())


def _each() -> Iterator[Goal]:
    for kind in KINDS:
        for target in MOVABLE:
            if kind == "stack" and target not in CUBES:
                continue
            if kind == "stack":
                yield from (Goal(kind, target, other) for other in CUBES if other != target)
            elif kind in BESIDE:
                others = CYLINDERS if target in CUBES else CUBES
                yield from (Goal(kind, target, other) for other in others)
            else:
                yield Goal(kind, target)


@cache
def _sentences() -> Mapping[str, Goal]:
    return {
        goal.said(wording, paraphrased=paraphrased): goal
        for goal in goals()
        for paraphrased, ways in ((False, TEMPLATES), (True, PARAPHRASES))
        for wording in range(len(ways[goal.kind]))
    }


def goal_of(instruction: str) -> Goal:
    """Returns the goal that an instruction of the suite asks for.

    Raises:
        UnknownNameError: If it is none of the suite.
    """
    known = _sentences()
    if instruction not in known:
        raise UnknownNameError.of("instruction", instruction, known)
    return known[instruction]


def instructions(*, paraphrased: bool = False) -> tuple[str, ...]:
    """All sentences of the templates, or of the held-out paraphrases."""
    ways = PARAPHRASES if paraphrased else TEMPLATES
    return tuple(
        goal.said(w, paraphrased=paraphrased)
        for goal in goals()
        for w in range(len(ways[goal.kind]))
    )
