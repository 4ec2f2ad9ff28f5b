"""Executes moves: from where the end effector is to where the moves so far should have led."""

import math

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.errors import ConfigError
from robot_policy.core.geometry import rotvec_from_matrix
from robot_policy.core.robot_description import RobotDescription
from robot_policy.core.specs import ActionSpace
from robot_policy.policies.primitive_coding import advanced
from robot_policy.policies.primitives import TRANSLATIONS, Move

_GAIN = 1.6
"""Largest part of what is missing that is commanded: a compliant arm follows slowly, and more than
two would overshoot."""
_NEAR_M, _NEAR_RAD = 0.004, 0.02
_SETTLING = 8
"""Control periods beyond those of the motion in which an arm comes to rest, or fingers close."""
_LEASH_M, _LEASH_RAD = 0.02, 0.1
"""How far the target of the moves before may be from where the arm is: what an obstacle did not let
happen is not made up for by the next motion."""


class PrimitiveServo:
    """Follows the target of the moves in displacements of the end effector.

    The target advances by the moves and not by what the arm made of them, so that neither
    compliance nor rounding adds up.

    Args:
        robot: Takes displacements of its end effector.

    Raises:
        ConfigError: If it takes other commands.
    """

    def __init__(self, robot: RobotDescription) -> None:
        if robot.command.action_space is not ActionSpace.EE_DELTA_POSE:
            raise ConfigError(
                "primitives need a robot that takes displacements of its end effector",
                where=f"robot {robot.name}",
                expected=ActionSpace.EE_DELTA_POSE.value,
                got=robot.command.action_space.value,
            )
        self.robot = robot
        self._closed = False

    @property
    def closed(self) -> bool:
        """State of the gripper that is commanded."""
        return self._closed

    def reset(self, state: NDArray[np.floating], *, closed: bool = False) -> None:
        """Begins where the arm is.

        Args:
            state: (S,) of the robot.
            closed: State of the gripper.
        """
        self._position = np.array(self.robot.ee_position(state), np.float64)
        self._R = np.array(self.robot.ee_rotation(state), np.float64)
        self._closed = closed

    def begin(self, move: Move, state: NDArray[np.floating]) -> None:
        """Takes the next move up from the robot's state (S,)."""
        here, R = self.robot.ee_position(state), self.robot.ee_rotation(state)
        if np.linalg.norm(self._position - here) > _LEASH_M:
            self._position = np.array(here, np.float64)
        if np.linalg.norm(rotvec_from_matrix(self._R @ R.T)) > _LEASH_RAD:
            self._R = np.array(R, np.float64)
        self._advance(move)

    def follow(self, move: Move) -> None:
        """Takes the next move up without looking where the arm is, as when moves come at a rate."""
        self._advance(move)

    def action(self, state: NDArray[np.floating]) -> NDArray[np.float32]:
        """Returns the (7,) action for a state (S,), within the robot's command limits."""
        command = self.robot.command
        shift, turn = self._missing(state)
        gain = [
            min(1.0 / r, _GAIN) for r in (command.response.translation, command.response.rotation)
        ]
        low, high = np.array(command.low), np.array(command.high)
        arm = np.concatenate([gain[0] * shift, gain[1] * turn])
        # One factor for all entries, so that a diagonal stays one.
        bounds = np.where(arm > 0, high[:-1], -low[:-1])
        factor = np.max(np.abs(arm) / np.maximum(bounds, 1e-12), initial=1.0)
        return np.append(arm / factor, float(self._closed)).astype(np.float32)

    def arrived(self, state: NDArray[np.floating]) -> bool:
        """Whether the target is reached."""
        shift, turn = self._missing(state)
        return bool(np.linalg.norm(shift) < _NEAR_M and np.linalg.norm(turn) < _NEAR_RAD)

    def periods(self, move: Move) -> int:
        """Control periods within which a move is over, whether or not it arrives."""
        command = self.robot.command
        high = np.array(command.high[:-1])
        part = np.repeat([command.response.translation, command.response.rotation], TRANSLATIONS)
        return math.ceil(float(np.max(np.abs(move.motion) / (part * high)))) + _SETTLING

    def _advance(self, move: Move) -> None:
        self._position, self._R = advanced(self._position, self._R, move.motion)
        self._closed = move.closed

    def _missing(
        self, state: NDArray[np.floating]
    ) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
        shift = self._position - self.robot.ee_position(state)
        return shift, rotvec_from_matrix(self._R @ self.robot.ee_rotation(state).T)
