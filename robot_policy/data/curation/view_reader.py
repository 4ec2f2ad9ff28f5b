"""Reads a view: the chosen episodes of its sources, with their labels."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from robot_policy.core.errors import DataError
from robot_policy.data.curation.common_description import common_description
from robot_policy.data.curation.labels import relabel_recording
from robot_policy.data.curation.view import View
from robot_policy.data.formats.episode_format import DatasetReader, check_episodes
from robot_policy.data.formats.registry import detect_format
from robot_policy.data.recording import Description, Recording
from robot_policy.data.statistics import FeatureStatistics


class ViewReader:
    """See `DatasetReader`.

    Args:
        path: View file.

    Raises:
        DataError: If the file is damaged, or a source is gone, has changed, or does not go with
            the others.
    """

    def __init__(self, path: Path) -> None:
        self.view = View.load(path)
        self._readers: list[DatasetReader] = []
        left_out: list[str] = []
        description: Description | None = None
        for source in self.view.sources:
            if not source.path.exists():
                raise DataError("a dataset of the view is gone", where=path, got=source.path)
            source.check_unchanged()
            reader = detect_format(source.path).open(source.path)
            check_episodes(source.episodes, count=len(reader), where=source.path)
            self._readers.append(reader)
            left_out += reader.left_out
            if description is None:
                description = reader.description
                continue
            description, missing = common_description(
                description, reader.description, where=source.path
            )
            left_out += missing
        assert description is not None
        self.description = description
        self.left_out = tuple(dict.fromkeys(left_out))
        self._origins = self.view.origins()

    def __len__(self) -> int:
        """Number of episodes."""
        return len(self._origins)

    def recording(self, position: int) -> Recording:
        """See `DatasetReader.recording`."""
        number, episode = self._origins[position]
        recording = self._readers[number].recording(episode)
        features = self.description.features
        kept = replace(
            recording,
            index=position,
            columns={k: x for k, x in recording.columns.items() if k in features},
            frames={k: x for k, x in recording.frames.items() if k in features},
        )
        labels = self.view.sources[number].labels.get(episode)
        return kept if labels is None else relabel_recording(kept, labels)

    def statistics(self, position: int) -> Mapping[str, FeatureStatistics]:
        """See `DatasetReader.statistics`."""
        number, episode = self._origins[position]
        known = self._readers[number].statistics(episode)
        return {key: of for key, of in known.items() if key in self.description.features}
