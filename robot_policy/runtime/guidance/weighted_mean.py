"""The mean of the candidates, the better ones counting more."""

import numpy as np
from numpy.typing import NDArray

from robot_policy.runtime.guidance.config import SteeringConfig
from robot_policy.runtime.guidance.strategy import softmax, spread


class WeightedMean:
    """Executes sum_j w_j a_j with the weights of `SpreadSoftmax`.

    An error of the critic about one candidate then counts little. The gripper opens or closes as
    the heavier side votes; and because the mean of two ways round an obstacle is the obstacle, the
    mean is judged too, and the best candidate is taken where that is judged better.
    """

    def __init__(self, config: SteeringConfig) -> None:
        self._temperature = config.temperature

    def weights(self, gains: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
        """Returns weights (N,)."""
        del rng
        return softmax(gains, self._temperature * spread(gains))


def mean_chunk(chunks: NDArray[np.float32], weights: NDArray[np.float64]) -> NDArray[np.float32]:
    """Returns the weighted mean (H, A) of chunks (N, H, A), gripper by vote.

    In each step those vote that would open (below one half) against those that would close; the
    result is the mean of the heavier side.
    """
    mean = np.einsum("n,nha->ha", weights, chunks.astype(np.float64))
    gripper = chunks[:, :, -1].astype(np.float64)  # (N, H)
    closes = gripper > 0.5
    closing = weights @ closes
    side = np.where(closing > 0.5 * weights.sum(), closes, ~closes)
    weight = weights[:, None] * side
    mean[:, -1] = (weight * gripper).sum(0) / weight.sum(0)
    return mean.astype(np.float32)
