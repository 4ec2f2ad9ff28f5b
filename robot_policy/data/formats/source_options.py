"""What a dataset itself does not say, and whoever reads it has to."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.observation import Observation
from robot_policy.core.specs import PolicySpec


class StateRenderer(Protocol):
    """Makes observations of recorded simulator states; the simulator is not known here."""

    @property
    def spec(self) -> PolicySpec:
        """What the observations hold, and what actions in SI units mean."""
        ...

    def observations(
        self, states: NDArray[np.floating], *, model: str | None, cameras: Collection[str]
    ) -> Iterator[Observation]:
        """Yields what is observed in each of the states.

        Args:
            states: (T, D) flattened states of the simulator.
            model: XML of the scene that they belong to, if it is recorded.
            cameras: Whose images to render.

        Raises:
            SimulationError: If the states are not of this scene.
        """
        ...


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """How to read a dataset.

    Attributes:
        robot: Name or path of the robot description, for bags that do not carry one.
        task: Instruction text where the dataset has none.
        recover: Whether files that were cut off are read as far as they go.
        gap_s: Silence of the robot after which another episode begins in a bag [s].
        episode_topic: Topic of a bag that says when an episode begins; empty to go by gaps.
        freshness_s: Oldest measurement that an observation may be made of [s]; as the robot
            description says if None.
        si_actions: Whether actions of robosuite's controllers are turned into SI units.
        renderer: Makes the observations of robosuite's recordings, which hold none; None to leave
            them as they are.
    """

    robot: str = ""
    task: str = ""
    recover: bool = False
    gap_s: float = 1.0
    episode_topic: str = ""
    freshness_s: float | None = None
    si_actions: bool = False
    renderer: StateRenderer | None = None
