"""Intervals of medians, without assuming how errors are distributed."""

from collections.abc import Sequence

import numpy as np
from scipy.stats import binom


def median_interval(values: Sequence[float], *, confidence: float = 0.95) -> tuple[float, float]:
    """Returns two of the values between which the median lies with that confidence, or more.

    How many of n values lie below the median is binomial with one half; so the values with k below
    and with k above them enclose it unless k or fewer lie on one side (the sign test, inverted).
    """
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    n = len(ordered)
    k = max(int(binom.ppf((1.0 - confidence) / 2, n, 0.5)) - 1, 0)
    return float(ordered[min(k, n - 1)]), float(ordered[max(n - 1 - k, 0)])
