"""What every scripted expert offers."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.observation import Observation


class Expert(Protocol):
    """Solves one task by looking at the poses of the objects.

    A good expert decides by the present observation alone, so that a policy can learn what it
    does from what it sees.
    """

    @property
    def quality(self) -> str:
        """How well it works: ``"expert"`` or ``"sloppy"``."""
        ...

    def reset(self, rng: np.random.Generator) -> None:
        """Begins an episode; chance comes from `rng`."""
        ...

    def act(self, observation: Observation) -> NDArray[np.float32]:
        """Returns the action, (A,), for an observation with privileged state.

        Raises:
            SpecError: If the observation carries no privileged state.
        """
        ...


class Reactive:
    """An expert that decides by the present observation alone."""

    quality = "expert"

    def reset(self, rng: np.random.Generator) -> None:
        """Begins an episode; there is nothing to remember and nothing left to chance."""
