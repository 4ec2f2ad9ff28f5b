"""What a dataset format can do."""

from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Protocol

from robot_policy.core.episode import Episode
from robot_policy.core.specs import PolicySpec


class EpisodeFormat(Protocol):
    """Reads and writes datasets, one episode at a time."""

    def detect(self, path: Path) -> bool:
        """Whether `path` looks like a dataset of this format; reads next to nothing."""
        ...

    def read_spec(self, path: Path) -> PolicySpec:
        """Returns what the dataset holds; history, horizon and past are 1, 1, 0.

        Raises:
            DataError: If the description is missing, damaged or lacks what a policy needs.
        """
        ...

    def read(self, path: Path, *, cameras: Collection[str] | None = None) -> Iterator[Episode]:
        """Yields the episodes in order, checked.

        Args:
            path: Dataset.
            cameras: Whose images to decode; all of them if None.

        Raises:
            UnknownNameError: If there is no such camera.
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
