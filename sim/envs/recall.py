"""Recall: lift the cube to the middle, and put it back on the mark that it came from.

While it rises in the middle nothing tells where it came from. Who remembers is always right, who
does not is right half the time.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from sim.envs.rules import Moment, Progress
from sim.envs.task import Task

MARKS = (np.array([0.54, -0.14]), np.array([0.54, 0.14]))
"""Where the cube may start, x and y in the base frame [m]."""
MIDDLE = np.array([0.54, 0.0])
TOP_M = 0.12
"""Height in the base frame to which it must have been lifted in the middle [m]."""
_JITTER_M = 0.012
_MARK_RADIUS_M = 0.04
_MIDDLE_RADIUS_M = 0.03
_LYING_BELOW_M = -0.07
"""Height of the cube's centre below which it lies on the table [m]."""
_OPEN_BELOW = 0.35


class RecallRules:
    """The cube starts on a mark, must have been at the top of the middle, and lie on its mark."""

    def __init__(self) -> None:
        self.mark = 0
        self._been_up = False

    def begin(self, rng: np.random.Generator) -> Mapping[str, NDArray[np.floating]]:
        """Draws the mark, and puts the cube on it, not quite straight."""
        self.mark = int(rng.integers(2))
        self._been_up = False
        place = MARKS[self.mark] + rng.uniform(-_JITTER_M, _JITTER_M, 2)
        return {"cube": np.append(place, rng.uniform(-np.pi, np.pi))}

    def judge(self, moment: Moment) -> Progress:
        """Over once the cube was let go after it had been at the top."""
        cube = moment.positions["cube"]
        if np.linalg.norm(cube[:2] - MIDDLE) < _MIDDLE_RADIUS_M and cube[2] > TOP_M:
            self._been_up = True
        lies = cube[2] < _LYING_BELOW_M and moment.closed < _OPEN_BELOW
        if not (self._been_up and lies):
            return Progress.OPEN
        there = np.linalg.norm(cube[:2] - MARKS[self.mark]) < _MARK_RADIUS_M
        return Progress.REACHED if there else Progress.LOST


TASK = Task(
    name="recall",
    environment="Lift",
    instruction="lift the cube to the middle and put it back where it was",
    objects={"cube": "cube_main"},
    offsets=(("ee", "cube"),),
    max_steps=300,
    rules=RecallRules,
)
