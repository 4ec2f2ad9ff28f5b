"""Candidates beyond what the policy draws: its samples moved about, and straight moves."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.errors import ConfigError
from robot_policy.core.specs import ActionSpace, PolicySpec

_PRIMITIVE_SPEED = 0.5
"""Of the largest command."""


def perturbed(
    chunks: NDArray[np.float32], *, count: int, scale: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Draws around the policy's samples, which costs nothing (RoboMonkey, Kwok et al. 2025).

    A sample chosen at random is moved by scale * sigma * eps, sigma (H, A) the standard deviation
    over the samples and eps ~ N(0, I) one draw per entry of the action for the whole chunk, so that
    it stays as smooth as it was. The gripper does what most of the samples do.

    Args:
        chunks: (M, H, A) samples.
        count: How many to draw.
        scale: Of the noise.
        rng: Source of randomness.

    Returns:
        (count, H, A).
    """
    base = chunks[rng.integers(0, len(chunks), count)].astype(np.float64)
    noise = rng.standard_normal((count, 1, chunks.shape[-1]))
    moved = base + scale * chunks.std(axis=0) * noise
    closing = (chunks[:, :, -1] > 0.5).mean(axis=0) > 0.5  # (H,)
    gripper = chunks[:, :, -1]
    agreeing = (gripper > 0.5) == closing
    moved[:, :, -1] = (gripper * agreeing).sum(0) / agreeing.sum(0)
    return moved.astype(np.float32)


def primitive_bank(first: NDArray[np.float32], spec: PolicySpec) -> NDArray[np.float32]:
    """Makes straight moves: along every axis of translation, both ways, and standing still.

    The gripper does what `first` does, and standing still comes with either gripper state too.

    Args:
        first: (H, A) the policy's first sample.
        spec: Of the policy.

    Returns:
        (9, H, A).

    Raises:
        ConfigError: If zero is not standing still in the policy's action space.
    """
    check_primitives(spec)
    horizon = len(first)
    moves: list[NDArray[np.float32]] = []
    for axis in range(3):
        for limit in (spec.action.low[axis], spec.action.high[axis]):
            move = np.zeros_like(first)
            move[:, axis] = _PRIMITIVE_SPEED * limit
            move[:, -1] = first[:, -1]
            moves.append(move)
    grippers: Sequence[NDArray[np.float32]] = (
        first[:, -1],
        np.zeros(horizon, np.float32),
        np.ones(horizon, np.float32),
    )
    for gripper in grippers:
        still = np.zeros_like(first)
        still[:, -1] = gripper
        moves.append(still)
    return np.stack(moves)


PRIMITIVES = 9
"""Chunks in the bank."""


def check_primitives(spec: PolicySpec) -> None:
    """Checks that straight moves can be said in the policy's action space.

    Raises:
        ConfigError: If not.
    """
    if spec.action_space != ActionSpace.EE_DELTA_POSE or not spec.action.low:
        raise ConfigError(
            "motion primitives are displacements of the end effector within known limits",
            where="primitives",
            expected=ActionSpace.EE_DELTA_POSE.value,
            got=spec.action_space.value,
        )


def within_limits(chunks: NDArray[np.float32], spec: PolicySpec) -> NDArray[np.float32]:
    """Clips chunks (…, A) to the limits of the action, where it has any."""
    if not spec.action.low:
        return chunks
    low, high = np.array(spec.action.low), np.array(spec.action.high)
    return np.clip(chunks, low, high).astype(np.float32)
