"""What the evaluation harness needs from a simulator, or from an arm that can be reset."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.observation import Observation
from robot_policy.core.specs import PolicySpec


@dataclass(frozen=True, slots=True)
class Step:
    """What one action led to.

    Attributes:
        observation: After the action.
        reward: Of this step.
        success: Whether the goal holds, and has held long enough to count.
        terminated: The task ended (success held, or it can no longer be reached).
        truncated: The time limit was reached.
    """

    observation: Observation
    reward: float
    success: bool
    terminated: bool
    truncated: bool

    @property
    def done(self) -> bool:
        """Whether the episode is over, for either reason."""
        return self.terminated or self.truncated


@runtime_checkable
class Environment(Protocol):
    """One robot and its task.

    The same seed gives the same start, and the same actions from it the same trajectory, in
    any process. `step` after the end of an episode raises instead of resetting silently.
    """

    @property
    def spec(self) -> PolicySpec:
        """Its observations and commands; history, horizon and past are 1, 1, 0."""
        ...

    @property
    def max_steps(self) -> int:
        """Steps after which an episode is truncated."""
        ...

    def reset(self, seed: int) -> Observation:
        """Starts the episode that belongs to `seed`."""
        ...

    def step(self, action: NDArray[np.float32]) -> Step:
        """Executes one action, (A,) in the units of `spec.action`, for `spec.dt_s` seconds."""
        ...

    def render(self, camera: str, *, height: int, width: int) -> NDArray[np.uint8]:
        """Returns what `camera` sees now, (height, width, 3) uint8 RGB."""
        ...

    def close(self) -> None:
        """Releases the simulator."""
        ...
