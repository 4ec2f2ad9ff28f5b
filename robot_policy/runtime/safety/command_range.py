"""Keeps every entry of an action within the command range of the robot description."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.geometry import matrix_from_rotvec, rotvec_from_matrix
from robot_policy.core.robot import RobotDescription
from robot_policy.core.specs import ActionSpace
from robot_policy.runtime.hold import hold_action
from robot_policy.runtime.safety.decision import Decision, Stage
from robot_policy.runtime.safety.ee_motion import ROTATION, TRANSLATION
from robot_policy.runtime.safety.sent import AT_REST, Sent


@dataclass(frozen=True, eq=False)
class CommandRange:
    """Restricts every entry to ``low .. high``.

    Of displacements of the end effector, translation and rotation are shortened as a whole, so
    that their directions are kept; other actions are clipped entry by entry. A rotation vector that
    is out of range becomes the one of the same rotation that is at most pi long. A robot that is
    outside of the range of absolute commands may come back or stand still.

    Attributes:
        low: (A,).
        high: (A,).
        robot: Names the entries, and tells where it is.
        stage: Shortens or clips.
    """

    low: NDArray[np.float32]
    high: NDArray[np.float32]
    robot: RobotDescription
    stage: Stage

    @classmethod
    def from_robot(cls, robot: RobotDescription) -> Self:
        """Builds it from the command limits of `robot`."""
        spec = robot.action_spec
        shortens = robot.command.action_space == ActionSpace.EE_DELTA_POSE
        stage = Stage.LENGTH if shortens else Stage.CLIP
        return cls(np.array(spec.low, np.float32), np.array(spec.high, np.float32), robot, stage)

    def restrict(
        self,
        action: NDArray[np.float32],
        state: NDArray[np.float32],
        dt_s: float,
        *,
        sent: Sent = AT_REST,
    ) -> Decision:
        """Brings `action` into the range."""
        del dt_s, sent
        low, high = self.low, self.high
        if not self.robot.command.action_space.is_delta:
            here = hold_action(self.robot, state, gripper=self.robot.gripper_fraction(state))
            low, high = np.minimum(low, here), np.maximum(high, here)
        outside = np.flatnonzero((action < low) | (action > high))
        if not len(outside):
            return Decision(action)
        result = action.copy()
        if self.stage == Stage.LENGTH:
            for part in (TRANSLATION, ROTATION):
                result[part] *= _fraction(action[part], low[part], high[part])
        elif self.robot.command.action_space == ActionSpace.EE_POSE:
            result[ROTATION] = _shortest(action[ROTATION], low[ROTATION], high[ROTATION])
        names = self.robot.action_spec.names
        reasons = tuple(f"{names[i]} out of command range" for i in outside)
        return Decision(np.clip(result, low, high), reasons)


def _shortest(
    rotvec: NDArray[np.float32], low: NDArray[np.float32], high: NDArray[np.float32]
) -> NDArray[np.floating]:
    inside = ((rotvec >= low) & (rotvec <= high)).all()
    return rotvec if inside else rotvec_from_matrix(matrix_from_rotvec(rotvec))


def _fraction(
    motion: NDArray[np.float32], low: NDArray[np.float32], high: NDArray[np.float32]
) -> float:
    """The largest s in 0 .. 1 with ``s * motion`` in a range that holds zero."""
    outside = (motion < low) | (motion > high)
    bounds = np.where(motion > 0.0, high, low)[outside]
    return float(np.min(bounds / motion[outside], initial=1.0))
