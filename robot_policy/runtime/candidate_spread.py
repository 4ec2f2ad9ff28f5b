"""How far the candidates of one plan are apart: whether there was anything to choose from."""

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.specs import ArraySpec


def candidate_spread(chunks: NDArray[np.float32], action: ArraySpec) -> float | None:
    """Returns the root mean square distance of candidates from their mean, without the gripper.

    Every entry counts in halves of its command range, so that metres and radians add up; entries
    without a range do not count.

    Args:
        chunks: (N, H, A).
        action: Gives the ranges.

    Returns:
        0 where all are one, about 0.6 where they fill the range; None for a single candidate.
    """
    if len(chunks) < 2 or not action.low:
        return None
    half = (np.array(action.high) - np.array(action.low))[:-1] / 2.0
    ranged = np.isfinite(half) & (half > 0.0)
    if not ranged.any():
        return None
    arms = chunks[:, :, :-1].astype(np.float64)[:, :, ranged] / half[ranged]
    return float(np.sqrt(arms.var(axis=0).mean()))
