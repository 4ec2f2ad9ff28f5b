"""Statistics of a whole dataset, in one pass over it."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robot_policy.data.formats.episode_format import DatasetReader
from robot_policy.data.formats.lerobot_statistics import column_statistics, finite_rows
from robot_policy.data.quantiles import QUANTILES, exact_level_quantiles, exact_quantiles
from robot_policy.data.recording import STRING, Description, Recording
from robot_policy.data.statistics import (
    FeatureStatistics,
    ImageStatistics,
    merge_statistics,
)


class DatasetStatistics:
    """What a dataset's episodes come to, added one after the other.

    Images are looked at one at a time; of everything else the values are kept, 4 or 8 bytes each,
    because exact quantiles need them.

    Args:
        description: Of the dataset.
    """

    def __init__(self, description: Description) -> None:
        self._columns = {k: f for k, f in description.columns.items() if f.dtype != STRING}
        self._images = description.images
        self._parts: dict[str, list[FeatureStatistics]] = {}
        self._values: dict[str, list[NDArray[Any]]] = {}
        self._counts: dict[str, NDArray[np.float64]] = {}

    def add(self, recording: Recording) -> None:
        """Takes an episode.

        Raises:
            DataError: If an image cannot be read.
        """
        for key in self._columns:
            self._add_column(key, recording.columns[key])
        for key in self._images:
            self._parts.setdefault(key, []).append(self._add_images(key, recording))

    def _add_column(self, key: str, values: NDArray[Any]) -> None:
        of = column_statistics(values)
        if of is not None:
            self._parts.setdefault(key, []).append(of)
            self._values.setdefault(key, []).append(finite_rows(values))

    def _add_images(self, key: str, recording: Recording) -> FeatureStatistics:
        frames = recording.frames[key]
        sample = ImageStatistics(frames.shape, frames.dtype)
        channels, levels = frames.shape[-1], np.iinfo(frames.dtype).max + 1
        counts = self._counts.setdefault(key, np.zeros((channels, levels)))
        for index, frame in enumerate(frames):
            sample.add(index, frame)
            for channel in range(channels):
                counts[channel] += np.bincount(frame[..., channel].ravel(), minlength=levels)
        return sample.result(like_lerobot=True)

    def lerobot(self) -> dict[str, FeatureStatistics]:
        """Returns what lerobot's ``stats.json`` would hold: episodes merged, quantiles estimated.

        A frame with a value that is not finite is left out; a feature without any other is too.
        """
        return {key: merge_statistics(parts) for key, parts in self._parts.items()}

    def exact_quantiles(self) -> dict[str, FeatureStatistics]:
        """Returns quantiles over all frames, and of images over all pixels of all frames."""
        found: dict[str, FeatureStatistics] = {}
        for key, values in self._values.items():
            of = exact_quantiles(np.concatenate(values))
            shape = self._columns[key].shape
            found[key] = {name: x.reshape(shape) for name, x in of.items()}
        for key, counts in self._counts.items():
            scale = 255.0 if self._images[key].dtype == "uint8" else 1.0
            channels = [exact_level_quantiles(of_channel) for of_channel in counts]
            found[key] = {
                name: np.array([of[name] for of in channels]).reshape(-1, 1, 1) / scale
                for name in QUANTILES
            }
        return found


def dataset_statistics(
    reader: DatasetReader, *, advance: Callable[[], None] = lambda: None
) -> DatasetStatistics:
    """Looks at every frame of a dataset once.

    Args:
        reader: Dataset.
        advance: Called after every episode.

    Raises:
        DataError: If the dataset is damaged.
    """
    statistics = DatasetStatistics(reader.description)
    for position in range(len(reader)):
        statistics.add(reader.recording(position))
        advance()
    return statistics
