"""A dataset opened to choose from: its episodes without their images, and the view they make."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from robot_policy.core.errors import ConfigError, DataError
from robot_policy.data.curation.condition import Condition
from robot_policy.data.curation.facts import facts_of, values_of
from robot_policy.data.curation.ranges import parse_ranges
from robot_policy.data.curation.view import View, is_view
from robot_policy.data.formats.registry import detect_format
from robot_policy.data.store import EpisodeSummary
from robot_policy.data.summary import episode_summaries


@dataclass(frozen=True, slots=True)
class Curated:
    """Episodes to choose from. Use `open`.

    Attributes:
        path: Where they were opened.
        view: Of all of them.
        episodes: Summaries, in order.
        rate_hz: Frames per second.
    """

    path: Path
    view: View
    episodes: tuple[EpisodeSummary, ...]
    rate_hz: float

    @classmethod
    def open(cls, path: Path) -> Self:
        """Opens a dataset of any format, or a view.

        Raises:
            DataError: If it is missing, damaged or empty.
        """
        reader = detect_format(path).open(path)
        view = View.load(path) if is_view(path) else View.of_dataset(path, len(reader))
        if not len(view):
            raise DataError("the dataset holds no episode", where=path)
        summaries = episode_summaries(reader)
        if len(view.sources) > 1:
            names = [str(source.path) for source in view.sources for _ in source.episodes]
            summaries = (replace(e, dataset=n) for e, n in zip(summaries, names, strict=True))
        return cls(path, view, tuple(summaries), reader.description.rate_hz)

    def positions(self, *, where: str = "", episodes: str = "") -> list[int]:
        """Returns the episodes that are meant.

        Args:
            where: Condition that they meet; no condition if empty.
            episodes: Ranges of numbers; all of them if empty.

        Raises:
            ConfigError: If either cannot be understood, or there is no such episode.
            UnknownNameError: If the condition asks for a field that no episode has.
        """
        count = len(self.episodes)
        chosen: Sequence[int] = range(count)
        if episodes:
            chosen = parse_ranges(episodes, where="--episodes")
            if chosen and chosen[-1] >= count:
                raise ConfigError(
                    "no such episode", where="--episodes", expected=f"0 .. {count - 1}"
                )
        if not where:
            return list(chosen)
        holds = self.values(Condition.parse(where, where="--where"))
        return [number for number in chosen if holds[number]]

    def values(self, condition: Condition) -> list[Any]:
        """Returns the value of a condition for every episode.

        Raises:
            UnknownNameError: If it asks for a field that no episode has.
            ConfigError: If values do not go together.
        """
        facts = (
            facts_of(episode, number=number, rate_hz=self.rate_hz)
            for number, episode in enumerate(self.episodes)
        )
        return values_of(condition, facts)

    def frames(self, positions: Sequence[int]) -> int:
        """Returns how many frames some of the episodes have."""
        return sum(self.episodes[position].length for position in positions)
