"""From continuous demonstrations to primitives and back.

What a primitive leaves over is not thrown away: every decision is taken against the pose that the
primitives so far have reached, so that small motions accumulate until they are worth a primitive,
and the error stays that of one decision however long the demonstration is.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.errors import ConfigError
from robot_policy.core.geometry import matrix_from_rotvec, rotvec_from_matrix
from robot_policy.policies.primitives import Move, PrimitiveSet

PERIODS = 4
"""Control periods of a decision: at 20 Hz a fifth of a second, in which an arm gets a few cm."""
CLOSED_ABOVE = 0.5
"""Of a gripper command, 0 open to 1 closed."""


@dataclass(frozen=True, slots=True)
class Decision:
    """A move and the frames of the demonstration that it stands for.

    Attributes:
        move: What is done.
        start: First frame.
        count: Frames, at least 1.
    """

    move: Move
    start: int
    count: int


def discretise(
    positions: NDArray[np.floating],
    rotations: NDArray[np.floating],
    grippers: NDArray[np.floating],
    primitives: PrimitiveSet,
    *,
    periods: int = PERIODS,
) -> list[Decision]:
    """Turns a demonstration into decisions.

    A decision lasts `periods` frames, or until the gripper changes. With p the pose that the
    decisions so far have reached, and q the demonstrated pose at the decision's last frame, it is
    the move closest to q - p; p then advances by the move, not to q.

    Args:
        positions: (L, 3) of the end effector [m].
        rotations: (L, 3, 3) of it, in the base frame.
        grippers: (L,) commands, 0 open to 1 closed.
        primitives: Of the robot.
        periods: Frames of a decision.

    Returns:
        Decisions whose frames follow each other and cover 0 .. L - 1.

    Raises:
        ConfigError: If the arrays do not belong together, there is no frame, or `periods` is
            not positive.
    """
    length = len(positions)
    if not length == len(rotations) == len(grippers) or length == 0:
        raise ConfigError(
            "a demonstration needs as many positions as rotations and gripper commands",
            got=f"{length}, {len(rotations)}, {len(grippers)}",
        )
    if periods < 1:
        raise ConfigError("too small", where="periods", expected=">= 1", got=periods)
    closed = np.asarray(grippers) > CLOSED_ABOVE
    position = np.array(positions[0], dtype=np.float64)
    R = np.array(rotations[0], dtype=np.float64)
    decisions: list[Decision] = []
    start = 0
    while start < length:
        end = _end(closed, start, periods)
        last = min(end, length - 1)
        motion = np.concatenate(
            [positions[last] - position, rotvec_from_matrix(rotations[last] @ R.T)]
        )
        move = primitives.compose(motion, closed=bool(closed[start]))
        position, R = advanced(position, R, move.motion)
        decisions.append(Decision(move, start, end - start))
        start = end
    return decisions


def advanced(
    position: NDArray[np.floating], R: NDArray[np.floating], motion: NDArray[np.floating]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Returns the pose (3,), (3, 3) that a motion (6,) of the base frame leads to."""
    return (
        np.asarray(position + motion[:3], np.float64),
        np.asarray(matrix_from_rotvec(motion[3:]) @ R, np.float64),
    )


def undiscretise(
    position: NDArray[np.floating], R: NDArray[np.floating], decisions: Sequence[Decision]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Returns positions (D, 3), rotations (D, 3, 3) and grippers (D,) after each decision.

    Args:
        position: (3,) before the first.
        R: (3, 3) likewise.
        decisions: What is done.
    """
    positions, rotations, grippers = [], [], []
    at, turned = np.asarray(position, np.float64), np.asarray(R, np.float64)
    for decision in decisions:
        at, turned = advanced(at, turned, decision.move.motion)
        positions.append(at)
        rotations.append(turned)
        grippers.append(float(decision.move.closed))
    return (
        np.array(positions).reshape(-1, 3),
        np.array(rotations).reshape(-1, 3, 3),
        np.array(grippers),
    )


def _end(closed: NDArray[np.bool_], start: int, periods: int) -> int:
    """First frame after a decision that begins at `start`."""
    end = min(start + periods, len(closed))
    changed = np.flatnonzero(closed[start:end] != closed[start])
    return start + int(changed[0]) if len(changed) else end
