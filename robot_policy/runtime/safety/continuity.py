"""Refuses a chunk in which the commands jump: single limits should not smooth that over."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.robot import RobotDescription
from robot_policy.core.specs import ActionSpace
from robot_policy.runtime.hold import hold_action
from robot_policy.runtime.safety.ee_motion import ROTATION, TRANSLATION, displacement
from robot_policy.runtime.safety.sent import AT_REST, Sent

_JUMP = 2.0
"""Steps longer than this many times the longest allowed are not haste but a mistake."""


@dataclass(frozen=True, slots=True, eq=False)
class Continuity:
    """No two actions that follow each other may be too far apart.

    Of displacements, the difference between two that follow each other must not exceed the width
    of the command range, which two allowed ones cannot. Joint positions must not differ by more
    than twice what the largest joint velocities allow in a control period, poses by more than twice
    the longest step or turn; the first counts from the last command, or from where the robot is.
    The gripper may jump.

    Attributes:
        robot: Gives the limits, and the meaning of actions.
    """

    robot: RobotDescription

    @classmethod
    def from_robot(cls, robot: RobotDescription) -> Self:
        """Builds it for `robot`."""
        return cls(robot)

    def check(
        self,
        chunk: NDArray[np.float32],
        state: NDArray[np.float32],
        dt_s: float,
        *,
        sent: Sent = AT_REST,
    ) -> tuple[str, ...]:
        """Names the first jump in a chunk (H, A)."""
        command = self.robot.command
        if not command.action_space.is_delta:
            rest = hold_action(self.robot, state, gripper=self.robot.gripper_fraction(state))
            before = sent.actions[-1] if sent.actions else rest
            chunk = np.concatenate([before[None], chunk])
        excess = self._excess(chunk, state, dt_s)
        jumps = np.flatnonzero(excess > 1.0)
        if not len(jumps):
            return ()
        # With the command before it in front, the difference i leads to action i of the chunk.
        step = int(jumps[0]) + command.action_space.is_delta
        return (f"the chunk jumps at action {step}",)

    def _excess(
        self, chunk: NDArray[np.float32], state: NDArray[np.float32], dt_s: float
    ) -> NDArray[np.floating]:
        """Returns by how much each difference exceeds what is allowed, as a factor (H - 1,)."""
        command, limits = self.robot.command, self.robot.joint_limits
        difference = np.abs(np.diff(chunk[:, :-1].astype(np.float64), axis=0))
        match command.action_space:
            case ActionSpace.EE_DELTA_POSE | ActionSpace.JOINT_DELTA:
                width = np.array(command.high[:-1]) - np.array(command.low[:-1])
                # A width of zero forbids an axis; the range itself takes care of that.
                return (difference / np.where(width > 0.0, width, np.inf)).max(axis=1, initial=0.0)
            case ActionSpace.JOINT_POSITION:
                return (difference / (_JUMP * np.array(limits.velocity) * dt_s)).max(axis=1)
            case ActionSpace.EE_POSE:
                places = np.array([displacement(self.robot, action, state) for action in chunk])
                moves = np.diff(places, axis=0)
                longest, largest = command.max_step_m, command.max_turn_rad
                assert longest is not None
                assert largest is not None
                return np.maximum(
                    np.linalg.norm(moves[:, TRANSLATION], axis=1) / (_JUMP * longest),
                    np.linalg.norm(moves[:, ROTATION], axis=1) / (_JUMP * largest),
                )
