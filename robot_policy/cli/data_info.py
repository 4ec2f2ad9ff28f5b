"""`robot-policy data info`: what a dataset holds, on one screen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tyro.conf import Positional

from robot_policy.cli.progress import progress_bar
from robot_policy.core.files import write_json
from robot_policy.data.curation.view import View, is_view
from robot_policy.data.dataset_statistics import DatasetStatistics, dataset_statistics
from robot_policy.data.formats.lerobot_statistics import to_lists
from robot_policy.data.formats.registry import find_format
from robot_policy.data.recording import Feature
from robot_policy.data.summary import DatasetSummary, summarize

_MOST_TASKS = 6
_MOST_NAMES = 8
_COLOURS = ("red", "green", "blue")
_BARS = "▁▂▃▄▅▆▇█"
_MOST_BINS = 24


@dataclass(frozen=True)
class InfoConfig:
    """Show what a dataset holds: robot, features, episodes, outcomes, tasks, size."""

    path: Positional[Path]
    """Dataset of any format, or view."""
    statistics: bool = False
    """Also look at every frame: statistics as lerobot has them, and exact quantiles."""
    json: Path | None = None
    """Also write it to this file."""


def run(config: InfoConfig) -> int:
    """Reads every episode but its images, so that what it shows is known to be readable."""
    name, dataset_format = find_format(config.path)
    reader = dataset_format.open(config.path)
    summary = summarize(config.path, name, reader)
    statistics: DatasetStatistics | None = None
    if config.statistics:
        with progress_bar("looking at every frame", len(reader)) as advance:
            statistics = dataset_statistics(reader, advance=lambda: advance(""))
    if config.json is not None:
        write_json(config.json, summary.to_json() | _statistics_to_json(statistics))
    _show(summary)
    if statistics is not None:
        _show_statistics(statistics, summary.description.features)
    return 0


def _statistics_to_json(statistics: DatasetStatistics | None) -> dict[str, Any]:
    if statistics is None:
        return {}
    return {
        "statistics": to_lists(statistics.lerobot()),
        "exact_quantiles": to_lists(statistics.exact_quantiles()),
    }


def _show(summary: DatasetSummary) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE, show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in _rows(summary):
        # Text, not str: a name may hold what rich takes for markup.
        table.add_row(name, Text(value))
    Console().print(table)


def _rows(summary: DatasetSummary) -> list[tuple[str, str]]:
    facts, description = summary.to_json(), summary.description
    space = facts["action_space"] or "actions of unknown meaning"
    outcomes = [f"{count} {name}" for name, count in facts["success"].items() if count]
    rows = [
        ("dataset", f"{summary.path} ({summary.format}, {_size(summary.size)})"),
        *_sources(summary.path),
        ("robot", f"{description.robot}, {space}, {facts['rate_hz']:g} Hz"),
        ("episodes", f"{facts['episodes']} ({facts['frames']} frames)"),
        ("success", ", ".join(outcomes) or "-"),
        ("length", _lengths([episode.length for episode in summary.episodes])),
        *_tasks(facts["tasks"]),
    ]
    rows += _features(description.features)
    rows += [("not read", line) for line in summary.left_out]
    return rows


def _sources(path: Path) -> list[tuple[str, str]]:
    if not is_view(path):
        return []
    return [
        ("of", f"{source.path}: {len(source.episodes)} episodes")
        for source in View.load(path).sources
    ]


def _tasks(tasks: dict[str, int]) -> list[tuple[str, str]]:
    listed = list(tasks.items())
    rows = [("task", f"{task or '(no text)'} ({count})") for task, count in listed[:_MOST_TASKS]]
    if len(listed) > _MOST_TASKS:
        rows.append(("", f"and {len(listed) - _MOST_TASKS} more tasks"))
    return rows


def _lengths(lengths: Sequence[int]) -> str:
    if not lengths:
        return "-"
    import numpy as np

    spread = f"{min(lengths)} to {max(lengths)} frames, median {np.median(lengths):g}"
    if min(lengths) == max(lengths):
        return spread
    counts, _ = np.histogram(lengths, bins=min(_MOST_BINS, max(lengths) - min(lengths) + 1))
    heights = np.ceil(counts * (len(_BARS) - 1) / counts.max()).astype(int)
    bars = "".join(_BARS[h] if count else " " for h, count in zip(heights, counts, strict=True))
    return f"{spread}  {bars}"


def _features(features: Mapping[str, Feature]) -> list[tuple[str, str]]:
    """A row for each, but one for all plain scalars together."""
    plain = [k for k, f in features.items() if f.shape == (1,) and not f.names]
    rows = [(key, _feature(f)) for key, f in features.items() if key not in plain]
    if plain:
        rows.append(("scalars", ", ".join(f"{key} {features[key].dtype}" for key in plain)))
    return rows


def _feature(feature: Feature) -> str:
    shape = " x ".join(map(str, feature.shape))
    kind = "depth " if feature.is_depth else ""
    names = ", ".join(feature.names[:_MOST_NAMES])
    if len(feature.names) > _MOST_NAMES:
        names += f", … ({len(feature.names)} names)"
    return f"{kind}{shape} {feature.dtype}" + (f": {names}" if names else "")


def _show_statistics(statistics: DatasetStatistics, features: Mapping[str, Feature]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Column, Table
    from rich.text import Text

    columns = ("min", "q01", "q50", "q99", "max", "mean", "std")
    exact = statistics.exact_quantiles()
    tables: dict[str, list[list[str]]] = {}
    for key, of in statistics.lerobot().items():
        shown = {**of, **exact[key]}
        names = _entry_names(key, features[key], of["mean"].size)
        for entry, name in enumerate(names):
            values = [f"{shown[column].reshape(-1)[entry]:.3g}" for column in columns]
            title = "scalars" if names == [key] else key
            tables.setdefault(title, []).append([name, *values])
    console = Console()
    for title, rows in tables.items():
        first = Column(overflow="fold")
        table = Table(first, *columns, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
        table.title, table.title_justify = Text(title), "left"
        for name, *values in rows:
            table.add_row(Text(name), *values)
        console.print(table)


def _entry_names(key: str, feature: Feature, entries: int) -> list[str]:
    if feature.is_image and entries == len(_COLOURS):
        return list(_COLOURS)
    if entries == 1 and not feature.names:
        return [key]
    return list(feature.names) if len(feature.names) == entries else list(map(str, range(entries)))


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count < 1e9 else f"{count / 1e9:.2f} GB"
