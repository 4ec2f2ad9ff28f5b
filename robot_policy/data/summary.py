"""What a dataset holds, read without decoding an image."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from robot_policy.core.episode import Success
from robot_policy.data.formats.episode_format import DatasetReader
from robot_policy.data.recording import Description
from robot_policy.data.store import EpisodeSummary


@dataclass(frozen=True, slots=True)
class DatasetSummary:
    """What `robot-policy data info` shows.

    Attributes:
        path: Of the dataset.
        format: Its name in the registry.
        description: What it holds.
        left_out: What of it recordings do not carry.
        episodes: Summaries, in order.
        size: Of its files [bytes].
    """

    path: Path
    format: str
    description: Description
    left_out: tuple[str, ...]
    episodes: tuple[EpisodeSummary, ...]
    size: int

    def to_json(self) -> dict[str, Any]:
        """Returns a JSON-ready dict."""
        lengths = [episode.length for episode in self.episodes]
        outcomes = Counter(episode.success for episode in self.episodes)
        description = self.description
        spec = description.spec
        return {
            "path": str(self.path),
            "format": self.format,
            "robot": description.robot,
            "action_space": None if spec is None else spec.action_space.value,
            "rate_hz": round(description.rate_hz, 6),
            "features": {key: f.to_json() for key, f in description.features.items()},
            "left_out": list(self.left_out),
            "episodes": len(lengths),
            "frames": sum(lengths),
            "lengths": {"min": min(lengths), "median": median(lengths), "max": max(lengths)}
            if lengths
            else None,
            "success": {outcome.value: outcomes[outcome] for outcome in Success},
            "tasks": dict(Counter(episode.task for episode in self.episodes).most_common()),
            "bytes": self.size,
        }


def summarize(path: Path, name: str, reader: DatasetReader) -> DatasetSummary:
    """Reads everything but images.

    Args:
        path: Of the dataset.
        name: Of its format.
        reader: The dataset, open.

    Raises:
        DataError: If it is damaged.
    """
    return DatasetSummary(
        path=path,
        format=name,
        description=reader.description,
        left_out=tuple(reader.left_out),
        episodes=tuple(episode_summaries(reader)),
        size=sum(file.stat().st_size for file in _files(path)),
    )


def episode_summaries(
    reader: DatasetReader, positions: Sequence[int] | None = None
) -> Iterator[EpisodeSummary]:
    """Yields what is known of the episodes, all of them if `positions` is None.

    Raises:
        DataError: If one is damaged.
    """
    for position in range(len(reader)) if positions is None else positions:
        recording = reader.recording(position)
        yield EpisodeSummary(
            length=len(recording),
            success=recording.success,
            task=recording.task,
            metadata=recording.metadata,
            index=position,
        )


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    return [file for file in path.rglob("*") if file.is_file()]
