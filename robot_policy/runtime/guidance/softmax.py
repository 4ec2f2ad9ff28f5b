"""A candidate drawn with probabilities that grow with its judgement."""

import numpy as np
from numpy.typing import NDArray

from robot_policy.runtime.guidance.config import SteeringConfig
from robot_policy.runtime.guidance.strategy import only, softmax, spread


class Softmax:
    """Draws j with p_j = exp(g_j / T) / sum_i exp(g_i / T), T = `temperature` (V-GPS)."""

    def __init__(self, config: SteeringConfig) -> None:
        self._temperature = config.temperature

    def weights(self, gains: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
        """Returns weights (N,) with a single one."""
        return _drawn(softmax(gains, self._temperature), rng)


class SpreadSoftmax:
    """Like `Softmax` with T = `temperature` * the standard deviation of the judgements.

    One setting then suits critics of any scale, and moments at which candidates hardly differ.
    """

    def __init__(self, config: SteeringConfig) -> None:
        self._temperature = config.temperature

    def weights(self, gains: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
        """Returns weights (N,) with a single one."""
        return _drawn(softmax(gains, self._temperature * spread(gains)), rng)


def _drawn(probabilities: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    return only(int(rng.choice(len(probabilities), p=probabilities)), len(probabilities))
