"""Statistics of features as LeRobot's stats.json holds them: per episode, and merged."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robot_policy.data.quantiles import (
    QUANTILES,
    exact_level_quantiles,
    exact_quantiles,
    lerobot_quantiles,
)

type FeatureStatistics = dict[str, NDArray[np.floating]]
"""Statistic name (min, max, mean, std, count, q01, …) to array; ``count`` has shape (1,)."""

_SMALLEST_SAMPLE, _LARGEST_SAMPLE, _SAMPLE_POWER = 100, 10_000, 0.75
_FULL_SIZE_UP_TO, _REDUCED_SIZE = 300, 150


def vector_statistics(
    values: NDArray[np.generic], *, like_lerobot: bool = False
) -> FeatureStatistics:
    """Statistics over the first axis.

    Args:
        values: (N, D) or (N,), N >= 1, finite.
        like_lerobot: Whether quantiles are estimated as lerobot does, or exact.

    Returns:
        float64 arrays of shape (D,), D = 1 for (N,).
    """
    given = np.asarray(values).reshape(len(values), -1)
    x = given.astype(np.float64, copy=False)
    return {
        "min": x.min(axis=0),
        "max": x.max(axis=0),
        "mean": x.mean(axis=0),
        "std": x.std(axis=0),
        "count": np.array([len(x)]),
        **(_estimated_quantiles(given) if like_lerobot else exact_quantiles(x)),
    }


def _estimated_quantiles(values: NDArray[np.generic]) -> dict[str, NDArray[np.float64]]:
    promoted = values.astype(np.result_type(values.dtype, np.float32), copy=False)
    entries = [lerobot_quantiles(entry) for entry in promoted.T]
    return {name: np.array([entry[name] for entry in entries]) for name in QUANTILES}


class ImageStatistics:
    """Statistics per channel over a sample of an episode's frames, taken one frame at a time.

    Which frames and pixels are looked at is LeRobot's choice: evenly spaced frames, large images
    strided down. Colours are scaled to [0, 1], depth stays in its units.

    Args:
        shape: (N, h, w, C) of all frames, N >= 1.
        dtype: uint8, or uint16 for depth.
    """

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        total, height, width, channels = shape
        self._chosen = set(np.round(np.linspace(0, total - 1, _sample_size(total))).astype(int))
        self._stride = 1
        if max(height, width) >= _FULL_SIZE_UP_TO:
            self._stride = (width if width > height else height) // _REDUCED_SIZE
        self._scale = 255.0 if dtype == np.uint8 else 1.0
        self._counts = np.zeros((channels, np.iinfo(dtype).max + 1))

    def add(self, index: int, frame: NDArray[np.unsignedinteger]) -> None:
        """Looks at frame number `index`, (h, w, C), unless it is not in the sample."""
        if index not in self._chosen:
            return
        seen = frame[:: self._stride, :: self._stride]
        levels = self._counts.shape[1]
        for channel, counts in enumerate(self._counts):
            counts += np.bincount(seen[..., channel].ravel(), minlength=levels)

    def result(self, *, like_lerobot: bool = False) -> FeatureStatistics:
        """Returns float64 arrays of shape (C, 1, 1); ``count`` is the number of frames seen.

        Args:
            like_lerobot: Whether quantiles are estimated as lerobot does, or exact for the sample.
        """
        channels = [_level_statistics(counts, like_lerobot) for counts in self._counts]
        statistics = {
            name: np.array([channel[name] for channel in channels]).reshape(-1, 1, 1) / self._scale
            for name in channels[0]
        }
        return {**statistics, "count": np.array([len(self._chosen)])}


def image_statistics(frames: NDArray[np.uint8]) -> FeatureStatistics:
    """`ImageStatistics` of frames in memory, (N, h, w, C)."""
    statistics = ImageStatistics(frames.shape, frames.dtype)
    for index, frame in enumerate(frames):
        statistics.add(index, frame)
    return statistics.result()


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
        if not all(name in part for part in parts):
            continue  # LeRobot v2.1 has none
        merged[name] = (weights * np.stack([part[name] for part in parts])).sum(axis=0)
    return merged


def _sample_size(total: int) -> int:
    wanted = min(int(total**_SAMPLE_POWER), _LARGEST_SAMPLE)
    return max(min(total, _SMALLEST_SAMPLE), wanted)


def _level_statistics(counts: NDArray[np.float64], like_lerobot: bool) -> dict[str, float]:
    levels, total = np.arange(len(counts)), counts.sum()
    present = np.flatnonzero(counts)
    mean = float(counts @ levels / total)
    quantiles = (
        lerobot_quantiles(present.astype(np.float32), counts[present])
        if like_lerobot
        else exact_level_quantiles(counts)
    )
    return {
        "min": float(present[0]),
        "max": float(present[-1]),
        "mean": mean,
        "std": float(np.sqrt(counts @ (levels - mean) ** 2 / total)),
        **quantiles,
    }
