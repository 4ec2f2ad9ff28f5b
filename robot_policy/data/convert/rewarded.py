"""A dataset with other rewards."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.errors import DataError
from robot_policy.data.formats.episode_format import DatasetReader
from robot_policy.data.recording import REWARD, Feature, Recording
from robot_policy.data.statistics import FeatureStatistics

_FEATURE = Feature("float32", (1,))


class Rewarded:
    """See `DatasetReader`.

    Args:
        source: Dataset.
        rewards: Of every frame, (L,) per episode.

    Raises:
        DataError: If there are not as many episodes.
    """

    def __init__(self, source: DatasetReader, rewards: Sequence[NDArray[np.float32]]) -> None:
        if len(source) != len(rewards):
            raise DataError("rewards of other episodes", expected=len(source), got=len(rewards))
        self._source, self._rewards = source, rewards
        features = {**source.description.features, REWARD: _FEATURE}
        self.description = replace(source.description, features=features)
        self.left_out = source.left_out

    def __len__(self) -> int:
        """Number of episodes."""
        return len(self._source)

    def recording(self, position: int) -> Recording:
        """See `DatasetReader.recording`."""
        recording, rewards = self._source.recording(position), self._rewards[position]
        if len(rewards) != len(recording):
            raise DataError(
                "rewards of another episode",
                where=recording.where,
                expected=f"{len(recording)} frames",
                got=len(rewards),
            )
        return replace(recording, columns={**recording.columns, REWARD: rewards[:, None]})

    def statistics(self, position: int) -> Mapping[str, FeatureStatistics]:
        """See `DatasetReader.statistics`."""
        return {k: of for k, of in self._source.statistics(position).items() if k != REWARD}
