"""Quantiles of a stream in memory that does not grow."""

import math
from collections.abc import Sequence

import numpy as np

_RATIO = 1.02
_LEAST, _BINS = 1e-3, 1200
"""From a thousandth up to 2e7, in bins 2 % wide: of milliseconds, from 1 microsecond to hours."""


class Quantiles:
    """Counts positive numbers in bins of constant ratio; a quantile is right to 2 %.

    Safe to read while another thread adds: what is being added may be missing.
    """

    def __init__(self) -> None:
        self._counts = np.zeros(_BINS, np.int64)
        self.count = 0
        """Numbers so far."""
        self.largest = 0.0
        """The largest of them, exact."""

    def add(self, value: float) -> None:
        """Counts a number; those below a thousandth share a bin."""
        index = math.ceil(math.log(max(value, _LEAST) / _LEAST) / math.log(_RATIO))
        self._counts[min(index, _BINS - 1)] += 1
        self.count += 1
        self.largest = max(self.largest, value)

    def quantile(self, q: float) -> float | None:
        """Returns the smallest number that the fraction `q` does not exceed, rounded up to its bin.

        None before the first number.
        """
        total = int(self._counts.sum())
        if total == 0:
            return None
        index = int(np.searchsorted(np.cumsum(self._counts), max(1, math.ceil(q * total))))
        return min(_LEAST * _RATIO**index, self.largest) if index else min(_LEAST, self.largest)

    def histogram(self, edges: Sequence[float]) -> list[int]:
        """Returns how many numbers lie up to each edge and above the one before, and those above.

        Args:
            edges: (K,) ascending; each acts as the upper end of the bin that it lies in.

        Returns:
            K + 1 counts, which sum to `count`.
        """
        counts = self._counts.copy()
        upper = _LEAST * _RATIO ** np.arange(_BINS)
        place = np.searchsorted(np.asarray(edges) * _RATIO**0.5, upper)
        return np.bincount(place, counts, minlength=len(edges) + 1).astype(int).tolist()
