"""Episodes in and out of any format, on top of its recordings."""

import shutil
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from robot_policy.core.episode import Episode
from robot_policy.core.errors import DataError, SpecError, UnknownNameError
from robot_policy.core.files import require_new_folder
from robot_policy.core.observation import TASK
from robot_policy.core.specs import PolicySpec
from robot_policy.data.formats.contents import Contents
from robot_policy.data.formats.episode_check import check_episode
from robot_policy.data.formats.episode_format import DatasetReader, DatasetWriter, check_episodes
from robot_policy.data.formats.episode_mapping import (
    camera_keys,
    description_of,
    episode_of,
    recording_of,
    spec_of,
)
from robot_policy.data.formats.source_options import SourceOptions
from robot_policy.data.recording import Description, Feature


@dataclass(frozen=True)
class RecordedFormat:
    """See `EpisodeFormat`; what differs between formats is given to it.

    Attributes:
        contents: What becomes of everything a dataset may hold.
        detects: Whether a path looks like a dataset of this format.
        opens: Opens a dataset for reading.
        creates: Starts a dataset at a place where there is nothing.
        continues: Goes on with a dataset that holds the same features.
        refuses: Why a feature cannot be stored, None if it can.
    """

    contents: Contents
    detects: Callable[[Path], bool]
    opens: Callable[[Path, SourceOptions], DatasetReader]
    creates: Callable[[Path, Description], DatasetWriter]
    continues: Callable[[Path, Description], DatasetWriter]
    refuses: Callable[[str, Feature], str | None] = lambda key, feature: None

    def unstorable(self, description: Description) -> dict[str, str]:
        """See `EpisodeFormat.unstorable`."""
        told = {key: self.refuses(key, feature) for key, feature in description.features.items()}
        return {key: reason for key, reason in told.items() if reason is not None}

    def detect(self, path: Path) -> bool:
        """See `EpisodeFormat.detect`."""
        return self.detects(path)

    def open(self, path: Path, options: SourceOptions | None = None) -> DatasetReader:
        """See `EpisodeFormat.open`."""
        return self.opens(path, options or SourceOptions())

    def create(self, path: Path, description: Description) -> DatasetWriter:
        """See `EpisodeFormat.create`."""
        require_new_folder(path)
        return self.creates(path, description)

    def append(self, path: Path, description: Description) -> DatasetWriter:
        """See `EpisodeFormat.append`."""
        check_same(self.open(path).description, description, where=path)
        return self.continues(path, description)

    def remove(self, path: Path) -> None:
        """See `EpisodeFormat.remove`."""
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)

    def read_spec(self, path: Path) -> PolicySpec:
        """See `EpisodeFormat.read_spec`."""
        return spec_of(self.open(path).description, where=path)

    def read(
        self,
        path: Path,
        *,
        cameras: Collection[str] | None = None,
        episodes: Sequence[int] | None = None,
    ) -> Iterator[Episode]:
        """See `EpisodeFormat.read`."""
        reader = self.open(path)
        description = reader.description
        spec = spec_of(description, where=path)
        keys = camera_keys(description)
        for camera in cameras or ():
            if camera not in keys:
                raise UnknownNameError(f"no camera {camera!r}", where=path, valid=keys)
        chosen = tuple(keys) if cameras is None else tuple(cameras)
        if episodes is not None:
            check_episodes(episodes, count=len(reader), where=path)
        return (
            episode_of(reader.recording(position), description, spec, cameras=chosen)
            for position in (range(len(reader)) if episodes is None else episodes)
        )

    def write(
        self, path: Path, episodes: Iterable[Episode], spec: PolicySpec, *, append: bool = False
    ) -> int:
        """See `EpisodeFormat.write`."""
        description = description_of(spec)
        start = self.append if append else self.create
        writer = start(path, description)
        before = writer.episodes
        try:
            for episode in episodes:
                check_episode(episode, spec, where=f"episode {writer.episodes}")
                writer.add(recording_of(episode, writer.episodes))
        finally:
            writer.close()
            if writer.episodes == 0 and not append:
                self.remove(path)
        if writer.episodes == before:
            raise DataError("no episode to write", where=path)
        return writer.episodes - before


def check_same(there: Description, here: Description, *, where: object) -> None:
    """Checks that episodes of one dataset can be appended to another.

    Raises:
        DataError: If it is not known what the values in the dataset mean.
        SpecError: If the two differ in features or meaning.
    """
    if (there.spec is None) != (here.spec is None):
        raise DataError(
            "cannot append: units and action space are known of one of the two only", where=where
        )
    if there.spec is not None and here.spec is not None:
        before = there.spec.to_json()
        for key, value in here.spec.to_json().items():
            if before[key] != value:
                raise SpecError(
                    f"another {key} than the dataset's",
                    where=where,
                    expected=before[key],
                    got=value,
                )
    # A task that changes is no feature of LeRobot's before it has changed.
    kinds = [
        {k: (f.dtype, f.shape, f.is_image) for k, f in description.features.items() if k != TASK}
        for description in (there, here)
    ]
    if kinds[0] != kinds[1]:
        raise SpecError("other features", where=where, expected=kinds[0], got=kinds[1])
