"""lerobot's normalisation as the offset and scale it comes to."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.errors import CheckpointError
from robot_policy.core.observation import ACTION
from robot_policy.training.peers.adopted import Scaling

# The two statistics that each mode takes to -1 and 1.
_ENDS = {"MIN_MAX": ("min", "max"), "QUANTILES": ("q01", "q99"), "QUANTILE10": ("q10", "q90")}
_MODES = ("IDENTITY", "MEAN_STD", *_ENDS)


def lerobot_scaling(
    key: str, mode: str, statistics: Mapping[str, NDArray[np.floating]], *, eps: float
) -> Scaling | None:
    """Returns offset and scale of lerobot's normalisation of one feature; None for identity.

    MEAN_STD is (x - mean) / (std + eps) for observations, and y std + mean for actions, which are
    only scaled back. The others are 2 (x - low) / (high - low) - 1, with eps in place of a range
    that is exactly 0.

    An observation that never varied is shifted but not scaled. On the value it had, that is what
    lerobot gives; beside it, lerobot divides by eps and answers anything.

    Args:
        key: Of the feature.
        mode: Name of the mode in lerobot.
        statistics: Statistic name to (D,).
        eps: lerobot's guard against division by zero.

    Raises:
        CheckpointError: If the mode is unknown or a statistic is missing.
    """
    if mode not in _MODES:
        raise CheckpointError(f"normalisation {mode!r} is not known here", where=key, valid=_MODES)
    # lerobot leaves a feature alone of which it knows no statistics.
    if mode == "IDENTITY" or not statistics:
        return None
    names = _ENDS.get(mode, ("mean", "std"))
    for name in names:
        if name not in statistics:
            raise CheckpointError(f"statistic {name!r} is missing", where=key, valid=statistics)
    a, b = (np.asarray(statistics[name], dtype=np.float64) for name in names)
    if mode == "MEAN_STD":
        if key == ACTION:
            return a, np.where(b == 0, eps, b)
        return a, np.where(b == 0, 1.0, b + eps)
    half = (b - a) / 2
    scale = np.where(half == 0, eps / 2 if key == ACTION else 1.0, half)
    return a + scale, scale
