"""Keeps every entry of an action within the command range of the robot description."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.robot import RobotDescription
from robot_policy.runtime.safety.decision import Decision


@dataclass(frozen=True, eq=False)
class CommandRange:
    """Clips per entry: step size of delta commands, joint or pose range of absolute ones.

    Attributes:
        low: (A,).
        high: (A,).
        names: Names of the entries, for the reasons.
    """

    low: NDArray[np.float32]
    high: NDArray[np.float32]
    names: tuple[str, ...]

    @classmethod
    def from_robot(cls, robot: RobotDescription) -> Self:
        """Builds it from the command limits of `robot`."""
        spec = robot.action_spec
        return cls(np.array(spec.low, np.float32), np.array(spec.high, np.float32), spec.names)

    def restrict(
        self, action: NDArray[np.float32], state: NDArray[np.float32], dt_s: float
    ) -> Decision:
        """Clips `action` into the range."""
        del state, dt_s
        clipped = np.clip(action, self.low, self.high)
        changed = np.flatnonzero(clipped != action)
        return Decision(clipped, tuple(f"{self.names[i]} out of command range" for i in changed))
