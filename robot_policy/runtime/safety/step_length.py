"""Bounds how far the end effector may be sent in one control period, direction kept."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.robot import RobotDescription
from robot_policy.runtime.safety.decision import Decision, Stage
from robot_policy.runtime.safety.ee_motion import (
    EE_SPACES,
    TRANSLATION,
    displacement,
    fraction_within,
    reference,
    shortened,
)
from robot_policy.runtime.safety.sent import AT_REST, Sent


@dataclass(frozen=True, slots=True, eq=False)
class StepLength:
    """Shortens the translation to ``|p_k - p_(k-1)| <= longest``, p being what is commanded.

    For commands that are displacements, ``p_(k-1)`` is where the end effector is.

    Attributes:
        longest_m: Longest step [m].
        robot: Tells what actions mean.
    """

    longest_m: float
    robot: RobotDescription
    stage: Stage = Stage.LENGTH

    @classmethod
    def from_robot(cls, robot: RobotDescription) -> Self | None:
        """Builds it for `robot`; None where actions are joint angles."""
        longest = robot.command.max_step_m
        if robot.command.action_space not in EE_SPACES or longest is None:
            return None
        return cls(longest, robot)

    def restrict(
        self,
        action: NDArray[np.float32],
        state: NDArray[np.float32],
        dt_s: float,
        *,
        sent: Sent = AT_REST,
    ) -> Decision:
        """Shortens the translation of `action`."""
        del dt_s
        way = displacement(self.robot, action, state)[TRANSLATION]
        last = reference(self.robot, sent, state)[TRANSLATION]
        fraction = fraction_within(way, last, self.longest_m)
        if fraction == 1.0:
            return Decision(action)
        result = shortened(self.robot, action, state, fraction, part=TRANSLATION)
        return Decision(result, ("step too long",))
