"""What a strategy is: from judgements of candidates to how much of each is executed."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Strategy(Protocol):
    """Chooses among the candidates of one robot."""

    def weights(self, gains: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
        """Returns weights (N,), not negative, with sum 1.

        Args:
            gains: (N,) how much better each candidate is judged than the policy's own first
                sample, which is number 0; -inf for those that must not be taken. At least one is
                finite.
            rng: For strategies that draw.
        """
        ...


def only(index: int, count: int) -> NDArray[np.float64]:
    """Returns weights (N,) that take candidate `index` as it is."""
    weights = np.zeros(count)
    weights[index] = 1.0
    return weights


def softmax(gains: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
    """Returns exp(g / T) / sum exp(g / T); without temperature the largest alone."""
    if temperature <= 0:
        return only(int(np.argmax(gains)), len(gains))
    shifted = np.exp((gains - gains.max()) / temperature)
    return shifted / shifted.sum()


def spread(gains: NDArray[np.float64]) -> float:
    """Returns the standard deviation of the finite ones."""
    finite = gains[np.isfinite(gains)]
    return float(finite.std()) if len(finite) else 0.0
