"""Stops near a joint limit where nothing tells how an action moves the joints."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.robot import RobotDescription
from robot_policy.runtime.safety.decision import Decision, Stage
from robot_policy.runtime.safety.sent import AT_REST, Sent

MARGIN_RAD = 0.05
"""Distance from a limit at which it stops, about three degrees."""


@dataclass(frozen=True, slots=True, eq=False)
class JointMargin:
    """Watches the measured joints of an arm whose actions move the end effector.

    Without kinematics it is not known whether an action moves a joint towards its limit or away
    from it, so the arm stops, and a person must move it.

    Attributes:
        low: (J,) [rad].
        high: (J,) [rad].
        robot: Tells where the joints are.
    """

    low: NDArray[np.floating]
    high: NDArray[np.floating]
    robot: RobotDescription
    stage: Stage = Stage.CHECK

    @classmethod
    def from_robot(cls, robot: RobotDescription) -> Self:
        """Builds it for `robot`."""
        limits = robot.joint_limits
        return cls(np.array(limits.low) + MARGIN_RAD, np.array(limits.high) - MARGIN_RAD, robot)

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
        here = self.robot.joint_positions(state)
        near = np.flatnonzero((here < self.low) | (here > self.high))
        reasons = tuple(f"{self.robot.joint_names[i]} is near its limit" for i in near)
        return Decision(action, reasons, stop=bool(reasons))
