"""Batches for training: windows of the dataset in an order that depends on seed and step only."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from robot_policy.core.episode import Success
from robot_policy.core.errors import ConfigError, DataError
from robot_policy.core.specs import PolicySpec
from robot_policy.core.transforms import Pipeline, Sample
from robot_policy.data.store import EpisodeStore
from robot_policy.data.windows import WindowDataset, epoch_order, split_episodes
from robot_policy.training.config import TrainConfig


@dataclass(frozen=True)
class Split:
    """Episodes to learn from and episodes kept out, by index."""

    training: tuple[int, ...]
    validation: tuple[int, ...]


def choose_episodes(store: EpisodeStore, config: TrainConfig) -> Split:
    """Splits by episode, after failures were left out if the config says so.

    Raises:
        DataError: If nothing is left to learn from.
    """
    training, validation = split_episodes(store, config.validation_fraction, config.seed)

    def usable(index: int) -> bool:
        return not config.successes_only or store.episodes[index].success != Success.NO

    split = Split(
        tuple(int(i) for i in training if usable(int(i))),
        tuple(int(i) for i in validation if usable(int(i))),
    )
    if not split.training:
        raise DataError(
            "no episode to learn from",
            where=config.dataset,
            hint="every episode is marked as a failure; --no-successes-only takes them all",
        )
    return split


def source_spec(store: EpisodeStore, config: TrainConfig) -> PolicySpec:
    """Returns the dataset's spec, reduced to what the config lets the policy see.

    Raises:
        ConfigError: If the dataset lacks a camera that was asked for.
    """
    spec = store.spec
    for camera in config.cameras:
        if camera not in spec.cameras:
            raise ConfigError(f"no camera {camera!r}", where=config.dataset, valid=spec.cameras)
    return replace(
        spec,
        environment_state=spec.environment_state if config.environment_state else None,
        cameras={camera: spec.cameras[camera] for camera in config.cameras},
    )


class BatchSource:
    """Normalised batches by number: the same number is the same batch, in any process.

    Args:
        store: Dataset.
        episodes: Which of its episodes.
        spec: Of the policy; gives the window.
        pipeline: Applied to every batch.
        batch_size: Windows per batch; fewer where there are not as many.
        seed: Of the order.
    """

    def __init__(
        self,
        store: EpisodeStore,
        episodes: Sequence[int],
        *,
        spec: PolicySpec,
        pipeline: Pipeline,
        batch_size: int,
        seed: int,
    ) -> None:
        self._windows = WindowDataset(
            store,
            history=spec.history,
            past=spec.past,
            horizon=spec.horizon,
            cameras=tuple(spec.cameras),
            use_environment_state=spec.environment_state is not None,
            episodes=episodes,
        )
        self._pipeline = pipeline
        self._seed = seed
        self._batch_size = min(batch_size, len(self._windows))
        self.batches_per_epoch = len(self._windows) // self._batch_size
        self._epoch = -1
        self._order = np.empty(0, dtype=np.int64)

    def training_batch(self, number: int) -> Sample:
        """Batch `number`, counted from 0 over all epochs; a rest at an epoch's end is dropped."""
        epoch, place = divmod(number, self.batches_per_epoch)
        if epoch != self._epoch:
            self._epoch = epoch
            self._order = epoch_order(len(self._windows), self._seed, epoch)
        start = place * self._batch_size
        return self._normalized(self._order[start : start + self._batch_size])

    def fixed_batch(self, *, size: int) -> Sample:
        """Up to `size` windows spread evenly over the data, always the same ones."""
        count = min(size, len(self._windows))
        return self._normalized(np.linspace(0, len(self._windows) - 1, count).astype(np.int64))

    def _normalized(self, indices: np.ndarray) -> Sample:
        return self._pipeline.apply(self._windows.batch(indices))
