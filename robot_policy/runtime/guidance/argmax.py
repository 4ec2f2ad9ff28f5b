"""The candidate that is judged best."""

import numpy as np
from numpy.typing import NDArray

from robot_policy.runtime.guidance.config import SteeringConfig
from robot_policy.runtime.guidance.strategy import only


class Argmax:
    """Takes argmax_j g_j, of equals the one that was drawn first."""

    def __init__(self, config: SteeringConfig) -> None:
        del config

    def weights(self, gains: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
        """Returns weights (N,) with a single one."""
        del rng
        return only(int(np.argmax(gains)), len(gains))
