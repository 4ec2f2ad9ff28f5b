"""Rules of tasks that a simulator's reward does not know: where things start, when it is over."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray


class Progress(Enum):
    """What a moment means for the episode."""

    OPEN = "open"
    REACHED = "reached"
    """The goal holds; it has to for a few steps before the episode counts as solved."""
    LOST = "lost"
    """The goal cannot be reached any more."""


@dataclass(frozen=True, slots=True, eq=False)
class Moment:
    """What rules look at.

    Attributes:
        positions: Of every object and of ``"ee"``, (3,) in the base frame [m].
        closed: Gripper, 0 open to 1 closed.
    """

    positions: Mapping[str, NDArray[np.floating]]
    closed: float


class Rules(Protocol):
    """Of one task, for one episode after the other."""

    def begin(self, rng: np.random.Generator) -> Mapping[str, NDArray[np.floating]]:
        """Begins an episode.

        Returns:
            Objects to (3,) where they stand: x and y in the base frame [m], heading [rad].
            Objects that are not named stay where the simulator put them.
        """
        ...

    def judge(self, moment: Moment) -> Progress:
        """Called after every control step."""
        ...


@runtime_checkable
class Instructs(Protocol):
    """Rules that say what to do, in words that `begin` has chosen."""

    @property
    def instruction(self) -> str:
        """Of the present episode."""
        ...
