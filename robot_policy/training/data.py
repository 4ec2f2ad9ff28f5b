"""Batches for training: windows of the dataset in an order that depends on seed and step only."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.episode import Success
from robot_policy.core.errors import ConfigError, DataError
from robot_policy.core.observation import TASK
from robot_policy.core.specs import PolicySpec
from robot_policy.core.transforms import Pipeline, Sample
from robot_policy.data.store import EpisodeStore
from robot_policy.data.windows import WindowDataset, epoch_order, split_episodes
from robot_policy.nets.language import INSTRUCTION, SentenceAndWords
from robot_policy.training.config import TrainConfig
from robot_policy.training.datasets import names

_ALL = slice(None)


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
            where=names(config.dataset),
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
            where = names(config.dataset)
            raise ConfigError(f"no camera {camera!r}", where=where, valid=spec.cameras)
    return replace(
        spec,
        environment_state=spec.environment_state if config.environment_state else None,
        cameras={camera: spec.cameras[camera] for camera in config.cameras},
        calibrations={
            camera: calibration
            for camera, calibration in spec.calibrations.items()
            if camera in config.cameras or config.environment_state
        },
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
        lookahead: Steps by which windows are moved ahead, see `WindowDataset`.
        weights: Of the episodes, see `WindowDataset`; None if all count the same.
        step_weights: Of the frames, likewise.
        reader: Encodes the instructions; None where they are not read.

    Attributes:
        batch_size: Windows per batch.
        batches_per_epoch: Whole batches in a pass over the data.
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
        lookahead: int = 0,
        weights: Sequence[float] | None = None,
        step_weights: NDArray[np.floating] | None = None,
        reader: SentenceAndWords | None = None,
    ) -> None:
        self._windows = WindowDataset(
            store,
            history=spec.history,
            past=spec.past,
            horizon=spec.horizon,
            stride=spec.history_stride,
            cameras=tuple(spec.cameras),
            use_environment_state=spec.environment_state is not None,
            episodes=episodes,
            lookahead=lookahead,
            episode_weights=weights,
            step_weights=step_weights,
        )
        self._pipeline = pipeline
        self._reader = reader
        self._seed = seed
        self.batch_size = min(batch_size, len(self._windows))
        self.batches_per_epoch = len(self._windows) // self.batch_size
        self._order: tuple[int, NDArray[np.int64]] = (-1, np.empty(0, dtype=np.int64))

    def training_batch(self, number: int, *, rows: slice = _ALL) -> Sample:
        """Batch `number`, counted from 0 over all epochs; a rest at an epoch's end is dropped.

        Args:
            number: Of the batch.
            rows: Which of its rows to gather.
        """
        return self._normalized(self._indices(number)[rows])

    def describe(self, number: int, rows: Sequence[int]) -> str:
        """Says in words which windows are in `rows` of a training batch."""
        epoch, place = divmod(number, self.batches_per_epoch)
        indices = self._indices(number)
        windows = ", ".join(self._windows.describe(int(indices[row])) for row in rows)
        return f"epoch {epoch}, batch {place}: {windows}"

    def _indices(self, number: int) -> NDArray[np.int64]:
        epoch, place = divmod(number, self.batches_per_epoch)
        known, order = self._order  # read and written at once: threads ask too
        if epoch != known:
            windows = self._windows
            order = epoch_order(len(windows), self._seed, epoch, weights=windows.weights)
            self._order = epoch, order
        start = place * self.batch_size
        return order[start : start + self.batch_size]

    def fixed_batch(self, *, size: int) -> Sample:
        """Up to `size` windows spread evenly over the data, always the same ones."""
        count = min(size, len(self._windows))
        return self._normalized(np.linspace(0, len(self._windows) - 1, count).astype(np.int64))

    def everything(self) -> Sample:
        """All windows, in their order."""
        return self._normalized(np.arange(len(self._windows)))

    def _normalized(self, indices: np.ndarray) -> Sample:
        sample = self._pipeline.apply(self._windows.batch(indices))
        if self._reader is None:
            return sample
        return {**sample, INSTRUCTION: self._reader.encode(sample[TASK])}
