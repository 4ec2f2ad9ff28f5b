"""Keeps the gripper's command between open and closed, and no faster than the gripper may go."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.robot import RobotDescription
from robot_policy.runtime.safety.decision import Decision, Stage
from robot_policy.runtime.safety.sent import AT_REST, Sent


@dataclass(frozen=True, slots=True, eq=False)
class GripperRange:
    """Clips the last entry of an action to 0 .. 1, and to the speed of the gripper if it has one.

    The speed counts from the last command, and what lies between that and where the fingers are
    is always allowed.

    Attributes:
        speed: Fastest change [1/s] of the fraction that is closed; None without limit.
        robot: Tells where the fingers are.
    """

    speed: float | None
    robot: RobotDescription
    stage: Stage = Stage.CLIP

    @classmethod
    def from_robot(cls, robot: RobotDescription) -> Self:
        """Builds it for `robot`."""
        gripper = robot.gripper
        if gripper.speed is None:
            return cls(None, robot)
        return cls(gripper.speed / abs(gripper.closed - gripper.open), robot)

    def restrict(
        self,
        action: NDArray[np.float32],
        state: NDArray[np.float32],
        dt_s: float,
        *,
        sent: Sent = AT_REST,
    ) -> Decision:
        """Clips the gripper's command."""
        low, high = 0.0, 1.0
        if self.speed is not None:
            here = self.robot.gripper_fraction(state)
            last = float(sent.actions[-1][-1]) if sent.actions else here
            low = max(low, min(here, last - self.speed * dt_s))
            high = min(high, max(here, last + self.speed * dt_s))
        wanted = float(action[-1])
        result = action.copy()
        result[-1] = np.clip(action[-1], np.float32(low), np.float32(high))
        if result[-1] == action[-1]:
            return Decision(action)
        beyond = not 0.0 <= wanted <= 1.0
        return Decision(result, ("gripper out of range" if beyond else "gripper too fast",))
