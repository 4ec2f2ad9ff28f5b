"""Quantiles: the exact ones, and those that LeRobot estimates from a histogram."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

QUANTILES: Mapping[str, float] = {"q01": 0.01, "q10": 0.1, "q50": 0.5, "q90": 0.9, "q99": 0.99}

_BINS = 5000
_MARGIN = 1e-10


def exact_quantiles(values: NDArray[np.floating]) -> dict[str, NDArray[np.float64]]:
    """Smallest values that at least a share q of all do not exceed; they occur in the data.

    Args:
        values: (N, D), N >= 1.

    Returns:
        Arrays (D,) by name.
    """
    levels = list(QUANTILES.values())
    found = np.quantile(values, levels, axis=0, method="inverted_cdf")
    return {
        name: of.astype(np.float64, copy=False) for name, of in zip(QUANTILES, found, strict=True)
    }


def exact_level_quantiles(counts: NDArray[np.floating]) -> dict[str, float]:
    """`exact_quantiles` of whole numbers, of which ``counts[v]`` are v; (levels,)."""
    below, total = np.cumsum(counts), counts.sum()
    return {name: float(np.searchsorted(below, q * total)) for name, q in QUANTILES.items()}


def lerobot_quantiles(
    values: NDArray[np.floating], weights: NDArray[np.floating] | None = None
) -> dict[str, float]:
    """What lerobot 0.6.1 has for quantiles of one entry of an episode.

    A histogram of 5000 bins between the smallest and the largest value; within the bin in which
    the cumulative count reaches q N the quantile is interpolated linearly, and in the first bin it
    is the lower edge. The edges have the type of the values, which shows where float32 is coarse.

    Args:
        values: (N,), N >= 1; float32 as lerobot has them, unless they are float64.
        weights: (N,) how often each occurs, once if None.
    """
    total = len(values) if weights is None else float(weights.sum())
    if total < 2:
        return dict.fromkeys(QUANTILES, float(values[0]))
    edges = np.linspace(values.min() - _MARGIN, values.max() + _MARGIN, _BINS + 1)
    counts, _ = np.histogram(values, bins=edges, weights=weights)
    reached = np.cumsum(counts)
    return {name: _interpolated(q * total, counts, reached, edges) for name, q in QUANTILES.items()}


def _interpolated(
    target: float,
    counts: NDArray[np.number],
    reached: NDArray[np.number],
    edges: NDArray[np.floating],
) -> float:
    index = int(np.searchsorted(reached, target))
    if index == 0:
        return float(edges[0])
    if index == len(counts):
        return float(edges[-1])
    share = (target - reached[index - 1]) / counts[index] if counts[index] else 0.0
    return float(edges[index] + share * (edges[index + 1] - edges[index]))
