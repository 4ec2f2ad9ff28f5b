"""What steering is compared with: the policy alone, and a choice that knows nothing."""

import numpy as np
from numpy.typing import NDArray

from robot_policy.runtime.guidance.config import SteeringConfig
from robot_policy.runtime.guidance.strategy import only


class First:
    """Takes the policy's own first sample, whatever the judgements."""

    def __init__(self, config: SteeringConfig) -> None:
        del config

    def weights(self, gains: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
        """Returns weights (N,) with a single one."""
        del rng
        return only(0, len(gains))


class RandomPick:
    """Takes any candidate that may be taken."""

    def __init__(self, config: SteeringConfig) -> None:
        del config

    def weights(self, gains: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
        """Returns weights (N,) with a single one."""
        return only(int(rng.choice(np.flatnonzero(np.isfinite(gains)))), len(gains))
