"""Statistics of features as LeRobot's stats.json holds them: per episode, and merged."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

type FeatureStatistics = dict[str, NDArray[np.floating]]
"""Statistic name (min, max, mean, std, count, q01, …) to array; ``count`` has shape (1,)."""

QUANTILES: Mapping[str, float] = {"q01": 0.01, "q10": 0.1, "q50": 0.5, "q90": 0.9, "q99": 0.99}

_SMALLEST_SAMPLE, _LARGEST_SAMPLE, _SAMPLE_POWER = 100, 10_000, 0.75
_FULL_SIZE_UP_TO, _REDUCED_SIZE = 300, 150


def vector_statistics(values: NDArray[np.generic]) -> FeatureStatistics:
    """Statistics over the first axis.

    Args:
        values: (N, D) or (N,), N >= 1, finite.

    Returns:
        float64 arrays of shape (D,), D = 1 for (N,). Quantiles are values that occur.
    """
    x = np.asarray(values, dtype=np.float64)
    x = x.reshape(len(x), -1)
    quantiles = np.quantile(x, list(QUANTILES.values()), axis=0, method="inverted_cdf")
    return {
        "min": x.min(axis=0),
        "max": x.max(axis=0),
        "mean": x.mean(axis=0),
        "std": x.std(axis=0),
        "count": np.array([len(x)]),
        **dict(zip(QUANTILES, quantiles, strict=True)),
    }


def image_statistics(frames: NDArray[np.uint8]) -> FeatureStatistics:
    """Statistics per colour channel over a sample of frames, pixels scaled to [0, 1].

    Which frames and pixels are looked at is LeRobot's choice: evenly spaced frames, large images
    strided down.

    Args:
        frames: (N, h, w, 3) uint8, N >= 1.

    Returns:
        float64 arrays of shape (3, 1, 1); ``count`` is the number of frames looked at.
    """
    total, height, width = frames.shape[:3]
    chosen = np.round(np.linspace(0, total - 1, _sample_size(total))).astype(int)
    stride = 1
    if max(height, width) >= _FULL_SIZE_UP_TO:
        stride = (width if width > height else height) // _REDUCED_SIZE
    counts = np.zeros((3, 256))
    for index in chosen:
        image = frames[index, ::stride, ::stride]
        counts += [np.bincount(image[..., c].ravel(), minlength=256) for c in range(3)]
    per_channel = [_histogram_statistics(channel) for channel in counts]
    statistics = {
        name: np.array([channel[name] for channel in per_channel]).reshape(3, 1, 1) / 255.0
        for name in per_channel[0]
    }
    return {**statistics, "count": np.array([len(chosen)])}


def merge_statistics(parts: Sequence[FeatureStatistics]) -> FeatureStatistics:
    """Statistics of the union of disjoint parts.

    Mean and standard deviation are exact (pooled variance). Quantiles cannot be merged exactly;
    as in LeRobot they become the parts' mean, weighted by their counts.

    Args:
        parts: At least one, all of the same feature.
    """
    counts = np.array([float(part["count"][0]) for part in parts])
    means = np.stack([part["mean"] for part in parts])
    weights = (counts / counts.sum()).reshape(-1, *[1] * (means.ndim - 1))
    mean = (weights * means).sum(axis=0)
    variances = np.stack([part["std"] for part in parts]) ** 2
    variance = (weights * (variances + (means - mean) ** 2)).sum(axis=0)
    merged = {
        "min": np.min([part["min"] for part in parts], axis=0),
        "max": np.max([part["max"] for part in parts], axis=0),
        "mean": mean,
        "std": np.sqrt(variance),
        "count": np.array([int(counts.sum())]),
    }
    for name in QUANTILES:
        merged[name] = (weights * np.stack([part[name] for part in parts])).sum(axis=0)
    return merged


def _sample_size(total: int) -> int:
    wanted = min(int(total**_SAMPLE_POWER), _LARGEST_SAMPLE)
    return max(min(total, _SMALLEST_SAMPLE), wanted)


def _histogram_statistics(counts: NDArray[np.float64]) -> dict[str, float]:
    levels, total = np.arange(256), counts.sum()
    present = np.flatnonzero(counts)
    mean = float(counts @ levels / total)
    below = np.cumsum(counts)
    return {
        "min": float(present[0]),
        "max": float(present[-1]),
        "mean": mean,
        "std": float(np.sqrt(counts @ (levels - mean) ** 2 / total)),
        **{name: float(np.searchsorted(below, q * total)) for name, q in QUANTILES.items()},
    }
