"""A dataset that is a choice of other datasets' episodes: a small file, no copy."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from robot_policy.core.errors import ConfigError, DataError
from robot_policy.core.files import read_json, write_json
from robot_policy.data.cache.location import USER, cache_root, memory_file
from robot_policy.data.curation.labels import Labels, check_labels
from robot_policy.data.curation.ranges import format_ranges, parse_ranges
from robot_policy.data.digest import content_digest

KIND = "robot-policy view"
VERSION = 1


@dataclass(frozen=True, slots=True)
class ViewSource:
    """Episodes of one dataset.

    Attributes:
        path: Of the dataset.
        digest: Of its content; see `content_digest`.
        episodes: Which of them, in order.
        labels: Of some of these.
    """

    path: Path
    digest: str
    episodes: tuple[int, ...]
    labels: Mapping[int, Labels] = field(default_factory=dict[int, Labels])

    def check_unchanged(self) -> None:
        """Refuses a dataset that is gone, or is not what it was when it was chosen from.

        Raises:
            DataError: If it is either.
        """
        if current_digest(self.path) != self.digest:
            raise DataError(
                "the dataset has changed since the view was made",
                where=self.path,
                hint="make the view again; its file says how it was made",
            )


@dataclass(frozen=True, slots=True)
class View:
    """A choice of episodes, numbered through in the order of the sources.

    Attributes:
        sources: Where they are.
        made_by: Commands that made it, oldest first; for the reader.
    """

    sources: tuple[ViewSource, ...]
    made_by: tuple[str, ...] = ()

    @classmethod
    def of_dataset(cls, path: Path, episodes: int) -> Self:
        """Returns all episodes of a dataset that is no view.

        Args:
            path: Dataset.
            episodes: How many it has.
        """
        return cls((ViewSource(path, current_digest(path), tuple(range(episodes))),))

    @classmethod
    def load(cls, path: Path) -> Self:
        """Reads a view file.

        Raises:
            DataError: If it is damaged, or of another version.
        """
        data = read_json(path)
        try:
            if (data["kind"], data["version"]) != (KIND, VERSION):
                raise DataError(
                    "another version of a view",
                    where=path,
                    expected=f"{KIND} {VERSION}",
                    got=f"{data['kind']} {data['version']}",
                )
            sources = tuple(_source(entry, path) for entry in data["sources"])
            return cls(sources, tuple(map(str, data.get("made_by", ()))))
        except (KeyError, TypeError, ValueError, AttributeError, ConfigError) as error:
            raise DataError("not a view", where=path, got=error) from error

    def save(self, path: Path) -> None:
        """Writes a view file; sources are named relative to its folder, so both can move."""
        write_json(
            path,
            {
                "kind": KIND,
                "version": VERSION,
                "made_by": list(self.made_by),
                "sources": [
                    {
                        "path": _relative(source.path, path.parent),
                        "digest": source.digest,
                        "episodes": format_ranges(source.episodes),
                        "labels": {str(n): dict(of) for n, of in sorted(source.labels.items())},
                    }
                    for source in self.sources
                ],
            },
        )

    def __len__(self) -> int:
        """Number of episodes."""
        return sum(len(source.episodes) for source in self.sources)

    def origins(self) -> list[tuple[int, int]]:
        """Returns for every episode its source and its number there."""
        return [
            (number, episode)
            for number, source in enumerate(self.sources)
            for episode in source.episodes
        ]

    def select(self, positions: Sequence[int]) -> "View":
        """Returns a view of some of the episodes, in their order here.

        Raises:
            ConfigError: If none is left.
        """
        if not positions:
            raise ConfigError("no episode is left")
        origins = self.origins()
        chosen = {origins[position] for position in positions}
        sources = [
            replace(
                source,
                episodes=tuple(e for e in source.episodes if (number, e) in chosen),
                labels={e: of for e, of in source.labels.items() if (number, e) in chosen},
            )
            for number, source in enumerate(self.sources)
        ]
        return replace(self, sources=tuple(s for s in sources if s.episodes))

    def labelled(self, positions: Sequence[int], labels: Labels) -> "View":
        """Returns a view in which some of the episodes have these labels, beside their others."""
        origins = self.origins()
        chosen = {origins[position] for position in positions}
        sources = [
            replace(
                source,
                labels={
                    **source.labels,
                    **{
                        e: {**source.labels.get(e, {}), **labels}
                        for e in source.episodes
                        if (number, e) in chosen
                    },
                },
            )
            for number, source in enumerate(self.sources)
        ]
        return replace(self, sources=tuple(sources))

    def followed_by(self, other: "View") -> "View":
        """Returns the episodes of both.

        Raises:
            ConfigError: If an episode is in both, because it would count twice.
        """
        for one in self.sources:
            for two in other.sources:
                twice = set(one.episodes) & set(two.episodes)
                if one.digest == two.digest and twice:
                    raise ConfigError(
                        "an episode twice", where=two.path, got=f"episode {min(twice)}"
                    )
        made_by = (*self.made_by, *other.made_by)
        return View((*self.sources, *other.sources), made_by)


def is_view(path: Path) -> bool:
    """Whether a file is a view."""
    if path.suffix != ".json" or not path.is_file():
        return False
    try:
        data = read_json(path)
    except DataError:
        return False
    return isinstance(data, dict) and data.get("kind") == KIND


def current_digest(dataset: Path) -> str:
    """Returns the digest of a dataset, remembered in the user's cache folder.

    Raises:
        DataError: If there is no such dataset.
    """
    return content_digest(dataset, memory=memory_file(cache_root(USER, dataset), dataset))


def _source(entry: Mapping[str, Any], path: Path) -> ViewSource:
    episodes = parse_ranges(entry["episodes"], where="episodes")
    labels = {int(number): dict(of) for number, of in entry.get("labels", {}).items()}
    for of in labels.values():
        check_labels(of, where="labels")
    if not episodes or not labels.keys() <= set(episodes):
        raise ValueError("labels without an episode" if episodes else "no episodes")
    place = os.path.normpath(path.parent.resolve() / entry["path"])
    return ViewSource(Path(place), str(entry["digest"]), episodes, labels)


def _relative(path: Path, folder: Path) -> str:
    return Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()
