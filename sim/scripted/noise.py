"""Noise on an expert's commands, so that demonstrations also show how to recover."""

import numpy as np
from numpy.typing import NDArray

_CORRELATION = 0.7


class CorrelatedNoise:
    """Gaussian noise that changes gradually: n <- c n + sqrt(1 - c^2) e, stationary.

    The gripper, the last entry, is left alone: it only opens and closes.

    Args:
        scale: (A,) standard deviation per entry of an action.
        rng: Source of chance.
    """

    def __init__(self, scale: NDArray[np.floating], rng: np.random.Generator) -> None:
        self._scale = np.array(scale, dtype=np.float64)
        self._scale[-1] = 0.0
        self._rng = rng
        self._unit = rng.standard_normal(self._scale.shape)

    def draw(self) -> NDArray[np.float64]:
        """Returns the next (A,) sample, in the units of an action."""
        innovation = self._rng.standard_normal(self._scale.shape)
        self._unit = _CORRELATION * self._unit + np.sqrt(1 - _CORRELATION**2) * innovation
        return self._scale * self._unit
