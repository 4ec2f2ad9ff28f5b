"""An action that is not finite or not of the robot's size stops the arm: no clip can repair it."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.robot import RobotDescription
from robot_policy.runtime.safety.decision import Decision, Stage
from robot_policy.runtime.safety.sent import AT_REST, Sent


@dataclass(frozen=True, slots=True)
class WellFormed:
    """Stops on NaN, infinity and wrong sizes, in the action and in the state.

    Attributes:
        action_size: A.
        state_size: S.
    """

    action_size: int
    state_size: int
    stage: Stage = Stage.CHECK

    @classmethod
    def from_robot(cls, robot: RobotDescription) -> Self:
        """Builds it for `robot`."""
        return cls(robot.action_spec.size, robot.state_spec.size)

    def restrict(
        self,
        action: NDArray[np.float32],
        state: NDArray[np.float32],
        dt_s: float,
        *,
        sent: Sent = AT_REST,
    ) -> Decision:
        """Returns the action unchanged, or stop."""
        del dt_s, sent
        wrong = (
            *_wrong("action", action, (self.action_size,)),
            *_wrong("state", state, (self.state_size,)),
        )
        return Decision(action, wrong, stop=bool(wrong))

    def check(
        self,
        chunk: NDArray[np.float32],
        state: NDArray[np.float32],
        dt_s: float,
        *,
        sent: Sent = AT_REST,
    ) -> tuple[str, ...]:
        """Says what is wrong with a chunk (H, A); one without actions is harmless."""
        del dt_s, sent
        steps = len(chunk) if chunk.ndim else 1
        return (
            *_wrong("action", chunk, (steps, self.action_size)),
            *_wrong("state", state, (self.state_size,)),
        )


def _wrong(label: str, array: NDArray[np.float32], shape: tuple[int, ...]) -> tuple[str, ...]:
    if array.shape != shape:
        return (f"{label} has shape {array.shape}, not {shape}",)
    if not np.isfinite(array).all():
        return (f"{label} is not finite",)
    return ()
