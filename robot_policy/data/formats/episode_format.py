"""What a dataset format can do."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from robot_policy.core.episode import Episode
from robot_policy.core.errors import ConfigError
from robot_policy.core.specs import PolicySpec
from robot_policy.data.formats.contents import Contents
from robot_policy.data.formats.source_options import SourceOptions
from robot_policy.data.recording import Description, Recording
from robot_policy.data.statistics import FeatureStatistics


class DatasetReader(Protocol):
    """A dataset, open for reading, with every feature as it is stored."""

    @property
    def description(self) -> Description:
        """What it holds."""
        ...

    @property
    def left_out(self) -> Sequence[str]:
        """What of the dataset recordings do not carry, one line each."""
        ...

    def __len__(self) -> int:
        """Number of episodes."""
        ...

    def recording(self, position: int) -> Recording:
        """Returns an episode. Its images are read when they are iterated over.

        Args:
            position: 0 .. len - 1; the episode's own number may be another where some are missing.

        Raises:
            DataError: If a file is missing or damaged, or counts disagree. Values that are not
                finite are no error here.
        """
        ...

    def statistics(self, position: int) -> Mapping[str, FeatureStatistics]:
        """Returns the statistics that the dataset itself holds of an episode's features, if any.

        Raises:
            DataError: If they are damaged.
        """
        ...


class DatasetWriter(Protocol):
    """A dataset, open for writing."""

    @property
    def episodes(self) -> int:
        """Episodes that are safe on disk."""
        ...

    def add(self, recording: Recording) -> None:
        """Writes an episode; it is safe on disk when this returns.

        Raises:
            DataError: If it cannot be stored. The episodes before it stay.
        """
        ...

    def close(self) -> None:
        """Removes what is not part of the dataset."""
        ...


class EpisodeFormat(Protocol):
    """Reads and writes datasets, one episode at a time.

    `read` and `write` are about what policies see, `open`, `create` and `append` about everything.
    """

    @property
    def contents(self) -> Contents:
        """What it does with everything a dataset may hold."""
        ...

    def unstorable(self, description: Description) -> Mapping[str, str]:
        """Returns the features that it cannot hold at all, and why."""
        ...

    def detect(self, path: Path) -> bool:
        """Whether `path` looks like a dataset of this format; reads next to nothing."""
        ...

    def open(self, path: Path, options: SourceOptions | None = None) -> DatasetReader:
        """Opens a dataset.

        Args:
            path: Dataset.
            options: What the dataset itself does not say; what they are by default if None.

        Raises:
            DataError: If its description is missing or damaged.
        """
        ...

    def create(self, path: Path, description: Description) -> DatasetWriter:
        """Starts a dataset.

        Raises:
            ConfigError: If something is there already.
            SpecError: If a feature cannot be stored.
        """
        ...

    def append(self, path: Path, description: Description) -> DatasetWriter:
        """Goes on with a dataset; removes what an interrupted writer left.

        Raises:
            DataError: If it is damaged, or it is not known whether it fits.
            SpecError: If it holds something else than `description`.
        """
        ...

    def remove(self, path: Path) -> None:
        """Removes a dataset from disk."""
        ...

    def read_spec(self, path: Path) -> PolicySpec:
        """Returns what the dataset holds; history, horizon and past are 1, 1, 0.

        Raises:
            DataError: If the description is missing, damaged or lacks what a policy needs.
        """
        ...

    def read(
        self,
        path: Path,
        *,
        cameras: Collection[str] | None = None,
        episodes: Sequence[int] | None = None,
    ) -> Iterator[Episode]:
        """Yields the episodes, checked.

        Args:
            path: Dataset.
            cameras: Whose images to decode; all of them if None.
            episodes: Which episodes, in this order; all of them in theirs if None. The others are
                not decoded.

        Raises:
            UnknownNameError: If there is no such camera.
            ConfigError: If there is no such episode.
            DataError: If a file is missing or damaged, counts disagree, or a value is not finite.
        """
        ...

    def write(
        self, path: Path, episodes: Iterable[Episode], spec: PolicySpec, *, append: bool = False
    ) -> int:
        """Writes episodes; each is safe on disk before the next one is asked for.

        If `episodes` raises, what was written before stays a valid dataset, and the exception
        goes on. A new dataset without a single episode is not left behind.

        Args:
            path: New or empty folder, or a dataset to append to.
            episodes: Consumed one at a time.
            spec: What every episode holds.
            append: Go on with the dataset at `path`, which must have the same spec.

        Returns:
            How many episodes were written.

        Raises:
            ConfigError: If `path` exists and `append` is false.
            DataError: If `path` cannot be appended to, or there is no episode to write.
            SpecError: If an episode does not fit `spec`, or has another spec than the dataset.
        """
        ...


def check_episodes(episodes: Sequence[int], *, count: int, where: object) -> None:
    """Checks a choice of episodes.

    Raises:
        ConfigError: If one is not among the `count` episodes of the dataset.
    """
    for episode in episodes:
        if not 0 <= episode < count:
            raise ConfigError(
                "no such episode", where=where, expected=f"0 .. {count - 1}", got=episode
            )
