"""Keeps the end effector out of the keep-out boxes of the robot description."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.robot import RobotDescription
from robot_policy.runtime.safety.decision import Decision, Limit, Stage
from robot_policy.runtime.safety.ee_motion import EE_SPACES, TRANSLATION, displacement, shortened
from robot_policy.runtime.safety.joint_path import JointPath
from robot_policy.runtime.safety.sent import AT_REST, Sent

_MARGIN_M = 0.001
"""Distance from a box at which a motion ends that would enter it, so that rounding does not
count as entering when it is filtered again."""

_REASON = "would enter a keep-out box"


@dataclass(frozen=True, slots=True, eq=False)
class KeepOut:
    """Shortens translations that would enter a box, direction kept.

    The whole way counts, so that a thin box is not jumped over. Inside of a box the end effector
    may move towards its nearest face or stand still.

    Attributes:
        low: (n, 3) corners of the boxes in the base frame [m].
        high: (n, 3) opposite corners [m].
        robot: Tells where the end effector is.
    """

    low: NDArray[np.floating]
    high: NDArray[np.floating]
    robot: RobotDescription
    stage: Stage = Stage.PART

    @classmethod
    def from_robot(cls, robot: RobotDescription) -> Limit | None:
        """Builds it for `robot`; None where actions are joint angles and kinematics unknown."""
        boxes = robot.workspace.keep_out
        low = np.array([box.low for box in boxes], np.float64).reshape(-1, 3)
        high = np.array([box.high for box in boxes], np.float64).reshape(-1, 3)
        if robot.command.action_space in EE_SPACES:
            return cls(low, high, robot)
        if robot.kinematics is None:
            return None
        return JointPath(robot, _Outside(low, high))

    def restrict(
        self,
        action: NDArray[np.float32],
        state: NDArray[np.float32],
        dt_s: float,
        *,
        sent: Sent = AT_REST,
    ) -> Decision:
        """Shortens the translation of `action`."""
        del dt_s, sent
        start = self.robot.ee_position(state).astype(np.float64)
        way = displacement(self.robot, action, state)[TRANSLATION]
        fractions = [
            _free_fraction(start, way, low, high)
            for low, high in zip(self.low, self.high, strict=True)
        ]
        fraction = min(fractions, default=1.0)
        if fraction == 1.0:
            return Decision(action)
        result = shortened(self.robot, action, state, fraction, part=TRANSLATION)
        return Decision(result, (_REASON,))


def _free_fraction(
    start: NDArray[np.floating],
    way: NDArray[np.floating],
    low: NDArray[np.floating],
    high: NDArray[np.floating],
) -> float:
    """How far along `way` one may go; 1 where the box is not entered."""
    if ((start > low) & (start < high)).all():
        return 1.0 if way @ _out(start, low, high) >= 0.0 else 0.0
    if _entry(start, way, low, high) is None:
        return 1.0
    entry = _entry(start, way, low - _MARGIN_M, high + _MARGIN_M)
    return 0.0 if entry is None else entry


def _entry(
    start: NDArray[np.floating],
    way: NDArray[np.floating],
    low: NDArray[np.floating],
    high: NDArray[np.floating],
) -> float | None:
    """Fraction of `way` at which the open box is entered, by the slab method; None if never."""
    moving = way != 0.0
    if ((start <= low) | (start >= high))[~moving].any():
        return None
    to_low = (low - start)[moving] / way[moving]
    to_high = (high - start)[moving] / way[moving]
    first = float(np.minimum(to_low, to_high).max(initial=-np.inf))
    last = float(np.maximum(to_low, to_high).min(initial=np.inf))
    if first >= min(last, 1.0) or last <= 0.0:
        return None
    return max(first, 0.0)


def _out(
    start: NDArray[np.floating], low: NDArray[np.floating], high: NDArray[np.floating]
) -> NDArray[np.floating]:
    """(3,) direction of the nearest face."""
    depths = np.concatenate([start - low, high - start])
    nearest = int(np.argmin(depths))
    direction = np.zeros(3)
    direction[nearest % 3] = -1.0 if nearest < 3 else 1.0
    return direction


@dataclass(frozen=True, slots=True, eq=False)
class _Outside:
    """The boxes as a region of a path."""

    low: NDArray[np.floating]
    high: NDArray[np.floating]
    reason: str = _REASON

    def forbidden(
        self, path: NDArray[np.floating], start: NDArray[np.floating], margin: float
    ) -> NDArray[np.bool_]:
        result = np.zeros(len(path), bool)
        for low, high in zip(self.low, self.high, strict=True):
            if ((start > low) & (start < high)).all():
                out = _out(start, low, high)
                steps = (path - start) @ out
                result |= steps < (0.0 if margin else -_MARGIN_M)
            else:
                inside = (path > low - margin) & (path < high + margin)
                result |= inside.all(axis=-1)
        return result
