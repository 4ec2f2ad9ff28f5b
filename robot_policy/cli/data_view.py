"""`robot-policy data view`: episodes for the eye, as an HTML page or for rerun."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tyro.conf import Positional

from robot_policy.cli.progress import progress_bar
from robot_policy.core.errors import ConfigError, DataError
from robot_policy.data.curation.curated import Curated
from robot_policy.data.display.shown_episode import Group, ShownEpisode, shown_episode
from robot_policy.data.formats.registry import find_format
from robot_policy.data.summary import summarize

_SHOWN_BY_DEFAULT = 10


@dataclass(frozen=True)
class ViewConfig:
    """Show episodes with their videos, states and actions.

    An HTML page holds everything in one file and needs no network; a .rrd file is for rerun's
    viewer (extra `rerun`).
    """

    path: Positional[Path]
    """Dataset of any format, or view."""
    html: Path | None = None
    """HTML file to write; replaced if it exists."""
    rrd: Path | None = None
    """Recording for rerun to write; replaced if it exists."""
    episodes: str = ""
    """Numbers of episodes, for example 0-9,12; by default the first ten."""
    policy: Path | None = None
    """A policy with memories, `mcnn` or `retrieval`: show which demonstration each of its actions
    would come from, and how near that is."""
    where: str = ""
    """Condition for episodes, as in `data filter`."""


def run(config: ViewConfig) -> int:
    """Writes what was asked for."""
    outputs = [output for output in (config.html, config.rrd) if output is not None]
    if not outputs:
        raise ConfigError("nothing to write", where="data view", expected="--html or --rrd")
    name, dataset_format = find_format(config.path)
    reader = dataset_format.open(config.path)
    numbers = _numbers(config, len(reader))
    origin: Callable[[int], tuple[Group, ...]] = lambda number: ()  # noqa: E731
    if config.policy is not None:
        from robot_policy.cli.demonstration_origin import DemonstrationOrigin  # needs torch

        origin = DemonstrationOrigin(config.policy, config.path)
    with progress_bar("drawing episodes", len(numbers) * len(outputs)) as advance:

        def shown() -> Iterator[ShownEpisode]:
            for number in numbers:
                episode = shown_episode(reader, number)
                yield replace(episode, groups=(*origin(number), *episode.groups))
                advance("")

        if config.html is not None:
            from robot_policy.data.display.page import write_page

            write_page(config.html, summarize(config.path, name, reader), shown())
        if config.rrd is not None:
            from robot_policy.data.display.rerun_recording import write_recording

            write_recording(config.rrd, shown(), name=config.path.resolve().name)
    for output in outputs:
        size = output.stat().st_size / 1e6
        print(f"{output}: {len(numbers)} of {len(reader)} episodes, {size:.1f} MB")
    return 0


def _numbers(config: ViewConfig, count: int) -> Sequence[int]:
    if not config.where and not config.episodes:
        if not count:
            raise DataError("the dataset holds no episode", where=config.path)
        return range(min(count, _SHOWN_BY_DEFAULT))
    curated = Curated.open(config.path)
    numbers = curated.positions(where=config.where, episodes=config.episodes)
    if not numbers:
        raise DataError("no episode to show", where=config.path, got=config.where)
    return numbers
