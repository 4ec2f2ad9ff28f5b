"""An action that is not finite or not of the robot's size stops the arm: no clip can repair it."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.robot import RobotDescription
from robot_policy.runtime.safety.decision import Decision


@dataclass(frozen=True, slots=True)
class WellFormed:
    """Stops on NaN, infinity and wrong sizes, in the action and in the state.

    Attributes:
        action_size: A.
        state_size: S.
    """

    action_size: int
    state_size: int

    @classmethod
    def from_robot(cls, robot: RobotDescription) -> Self:
        """Builds it for `robot`."""
        return cls(robot.action_spec.size, robot.state_spec.size)

    def restrict(
        self, action: NDArray[np.float32], state: NDArray[np.float32], dt_s: float
    ) -> Decision:
        """Returns the action unchanged, or stop."""
        del dt_s
        reasons: list[str] = []
        for label, array, size in (
            ("action", action, self.action_size),
            ("state", state, self.state_size),
        ):
            if array.shape != (size,):
                reasons.append(f"{label} has shape {array.shape}, not ({size},)")
            elif not np.isfinite(array).all():
                reasons.append(f"{label} is not finite")
        return Decision(action, tuple(reasons), stop=bool(reasons))
