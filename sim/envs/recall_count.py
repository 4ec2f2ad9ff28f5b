"""Recall-count: lift and lower the cube as often as the mark it started on says, then let go.

One, two or three times; once the cube has left its mark nothing tells how often, and nothing but
memory tells how often it has been lifted already.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from sim.envs.rules import Moment, Progress
from sim.envs.task import Task

MARKS = (np.array([0.5, -0.14]), np.array([0.5, 0.0]), np.array([0.5, 0.14]))
"""Where the cube may start, x and y in the base frame [m]; mark i asks for i + 1 lifts."""
PLACE = np.array([0.6, 0.0])
"""Where it is lifted and lowered, and let go in the end."""
TOP_M, LOW_M = 0.0, -0.06
"""A lift is a way from below `LOW_M` to above `TOP_M` at the place [m]."""
_JITTER_M = 0.012
_PLACE_RADIUS_M = 0.04
_LYING_BELOW_M = -0.07
_OPEN_BELOW = 0.15
"""Gripper fraction below which it has let go; a cube held across its corners leaves 0.2."""


class RecallCountRules:
    """The cube must lie at the place, let go, after as many lifts there as its mark asks for."""

    def __init__(self) -> None:
        self.count = 1
        self.lifts = 0
        self._been_low = False

    def begin(self, rng: np.random.Generator) -> Mapping[str, NDArray[np.floating]]:
        """Draws the mark, and puts the cube on it, not quite straight."""
        mark = int(rng.integers(len(MARKS)))
        self.count, self.lifts, self._been_low = mark + 1, 0, False
        place = MARKS[mark] + rng.uniform(-_JITTER_M, _JITTER_M, 2)
        return {"cube": np.append(place, rng.uniform(-np.pi, np.pi))}

    def judge(self, moment: Moment) -> Progress:
        """Over once the cube was let go at the place; counts the lifts before."""
        cube = moment.positions["cube"]
        if np.linalg.norm(cube[:2] - PLACE) > _PLACE_RADIUS_M:
            return Progress.OPEN
        if cube[2] < LOW_M:
            self._been_low = True
        elif cube[2] > TOP_M and self._been_low:
            self._been_low, self.lifts = False, self.lifts + 1
        if self.lifts > self.count:
            return Progress.LOST
        if cube[2] > _LYING_BELOW_M or moment.closed > _OPEN_BELOW:
            return Progress.OPEN
        return Progress.REACHED if self.lifts == self.count else Progress.LOST


TASK = Task(
    name="recall-count",
    environment="Lift",
    instruction="lift the cube as often as its mark says",
    objects={"cube": "cube_main"},
    offsets=(("ee", "cube"),),
    max_steps=400,
    rules=RecallCountRules,
)
