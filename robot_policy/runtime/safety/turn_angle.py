"""Bounds how far the end effector may be turned in one control period, direction kept."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.robot import RobotDescription
from robot_policy.runtime.safety.decision import Decision, Stage
from robot_policy.runtime.safety.ee_motion import (
    EE_SPACES,
    ROTATION,
    displacement,
    fraction_within,
    reference,
    shortened,
)
from robot_policy.runtime.safety.sent import AT_REST, Sent


@dataclass(frozen=True, slots=True, eq=False)
class TurnAngle:
    """Shortens the rotation to ``angle(R_k R_(k-1)^T) <= largest``, R being what is commanded.

    For commands that are displacements, ``R_(k-1)`` is how the end effector is turned.

    Attributes:
        largest_rad: Largest turn [rad].
        robot: Tells what actions mean.
    """

    largest_rad: float
    robot: RobotDescription
    stage: Stage = Stage.LENGTH

    @classmethod
    def from_robot(cls, robot: RobotDescription) -> Self | None:
        """Builds it for `robot`; None where actions are joint angles."""
        largest = robot.command.max_turn_rad
        if robot.command.action_space not in EE_SPACES or largest is None:
            return None
        return cls(largest, robot)

    def restrict(
        self,
        action: NDArray[np.float32],
        state: NDArray[np.float32],
        dt_s: float,
        *,
        sent: Sent = AT_REST,
    ) -> Decision:
        """Shortens the rotation of `action`."""
        del dt_s
        way = displacement(self.robot, action, state)[ROTATION]
        last = reference(self.robot, sent, state)[ROTATION]
        fraction = fraction_within(way, last, self.largest_rad)
        if fraction == 1.0:
            return Decision(action)
        result = shortened(self.robot, action, state, fraction, part=ROTATION)
        return Decision(result, ("turn too large",))
