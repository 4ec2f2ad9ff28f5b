"""Statistics of an episode's features while it is written."""

from collections.abc import Iterator, Mapping
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robot_policy.data.frames import Frames, with_files
from robot_policy.data.statistics import (
    FeatureStatistics,
    ImageStatistics,
    merge_statistics,
    vector_statistics,
)

_LARGEST = 1e150  # what is larger, garbage in float64, would make deviations infinite

type Statistics = dict[str, FeatureStatistics]
"""Feature to its statistics."""


class Watched:
    """Images whose statistics are taken while somebody else iterates over them; see `Frames`."""

    def __init__(self, frames: Frames) -> None:
        self._frames = frames
        self._statistics = ImageStatistics(frames.shape, frames.dtype)

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, h, w, C)."""
        return self._frames.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the pixels."""
        return self._frames.dtype

    def __iter__(self) -> Iterator[NDArray[Any]]:
        """Yields the images; may be used once."""
        return (image for image, _ in self.with_files())

    def with_files(self) -> Iterator[tuple[NDArray[Any], bytes | None]]:
        """See `FiledFrames`; may be used once."""
        for index, (image, file) in enumerate(with_files(self._frames)):
            self._statistics.add(index, image)
            yield image, file

    def result(self) -> FeatureStatistics:
        """Statistics of all images, once they have been iterated over."""
        return self._statistics.result(like_lerobot=True)


def column_statistics(values: NDArray[Any]) -> FeatureStatistics | None:
    """Statistics over the first axis, of the rows of `finite_rows`; None if there is none.

    Args:
        values: (T, *shape), not texts.

    Returns:
        Arrays of that shape; ``count`` has shape (1,).
    """
    shape = values.shape[1:]
    flat = finite_rows(values)
    if not len(flat):
        return None
    statistics = vector_statistics(flat, like_lerobot=True)
    return {n: x if n == "count" else x.reshape(shape) for n, x in statistics.items()}


def finite_rows(values: NDArray[Any]) -> NDArray[Any]:
    """Returns the rows of (T, *shape) that are finite, as (T', D), and so are their squares."""
    flat = values.reshape(len(values), -1)
    if flat.dtype.kind != "f":
        return flat
    usable = np.abs(flat) < _LARGEST if flat.dtype.itemsize >= 8 else np.isfinite(flat)
    return flat[usable.all(axis=1)]


def merged(parts: Iterator[Statistics]) -> Statistics:
    """Statistics of all episodes together."""
    return reduce(merge, parts, {})


def merge(a: Mapping[str, FeatureStatistics], b: Mapping[str, FeatureStatistics]) -> Statistics:
    """Statistics of both together; a feature that only one knows is taken from there."""
    joined = dict(a)
    for key, new in b.items():
        joined[key] = merge_statistics([a[key], new]) if key in a else new
    return joined


def to_lists(statistics: Mapping[str, FeatureStatistics]) -> dict[str, dict[str, Any]]:
    """Statistics as JSON holds them."""
    return {key: {n: v.tolist() for n, v in stats.items()} for key, stats in statistics.items()}


def from_lists(data: Mapping[str, Mapping[str, Any]]) -> Statistics:
    """Inverse of `to_lists`."""
    return {key: {n: np.array(v) for n, v in stats.items()} for key, stats in data.items()}
