"""Self-verification (Torne et al. 2025): a chunk is as good as what it says of the past."""

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.errors import ConfigError
from robot_policy.core.observation import Candidates, Windows
from robot_policy.core.specs import PolicySpec

_EARLIER_FIRST = 1e-6


class PastVerification:
    """Judges candidates by how well they retell the actions that were really executed.

        s_b = -mean over the P past steps and A entries of (ahat^b_tau - a_tau)^2

    https://arxiv.org/abs/2505.09561, every entry in halves of its command range. Works with any
    policy that predicts its past. While nothing has been executed there is nothing to compare, and
    the policy's own first sample is preferred.

    Args:
        spec: Of the policy.
        policy_name: Of the policy, in errors.

    Raises:
        ConfigError: If the policy predicts no past, or its actions have no range.
    """

    name = "past"

    def __init__(self, spec: PolicySpec, *, policy_name: str = "") -> None:
        where = f"policy {policy_name or spec.robot}"
        if spec.past == 0:
            raise ConfigError(
                "it predicts no past, which verification compares",
                where=where,
                hint="past_token does, and every denoising policy with a history above 1",
            )
        half = (np.array(spec.action.high) - np.array(spec.action.low)) / 2.0
        if not half.size or not np.isfinite(half).all():
            raise ConfigError("actions without a range cannot be compared", where=where)
        self._scale = np.where(half > 0.0, half, 1.0)

    def score(self, windows: Windows, candidates: Candidates) -> NDArray[np.float32]:
        """Returns (B, N), higher is better.

        Raises:
            ConfigError: If the candidates carry no past.
        """
        if candidates.past is None:
            raise ConfigError("candidates without a past cannot be verified")
        error = (candidates.past - windows.past[:, None]) / self._scale  # (B, N, P, A)
        known = windows.past_valid[:, None, :, None]
        count = np.maximum(known.sum((2, 3)), 1) * error.shape[-1]
        scores: NDArray[np.floating] = -(np.square(error) * known).sum((2, 3)) / count
        return (scores - _EARLIER_FIRST * np.arange(scores.shape[1])).astype(np.float32)
