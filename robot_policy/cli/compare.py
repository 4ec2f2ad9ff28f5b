"""`robot-policy compare A.json B.json`: the difference of two evaluations, paired by seed."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tyro.conf import Positional

from robot_policy.core.files import write_json

if TYPE_CHECKING:
    from sim.comparison import Comparison
    from sim.statistics import Interval


@dataclass(frozen=True)
class CompareConfig:
    """Pair two evaluations by seed."""

    first: Positional[Path]
    """Result of the baseline: what `robot-policy eval --json` wrote."""
    second: Positional[Path]
    """Result that is compared with it; the difference is second minus first."""
    json: Path | None = None
    """Also write the comparison to this file."""


def run(config: CompareConfig) -> int:
    """Prints both rates, their difference with its interval, and the McNemar p-value."""
    from sim.comparison import compare
    from sim.result import EvaluationResult

    comparison = compare(EvaluationResult.load(config.first), EvaluationResult.load(config.second))
    if config.json is not None:
        write_json(config.json, comparison.to_json())
    _show(comparison)
    return 0


def _show(comparison: "Comparison") -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    outcomes = comparison.outcomes
    title = f"{comparison.task}, {outcomes.total} seeds in both"
    table = Table(box=box.SIMPLE, title=title, title_justify="left", title_style="bold")
    table.add_column("")
    table.add_column("policy", overflow="fold")
    for heading in ("solved", "rate", "95 % interval"):
        table.add_column(heading, justify="right", no_wrap=True)
    for label, name, k, rate, interval in zip(
        ("first", "second"),
        comparison.checkpoints,
        outcomes.successes,
        comparison.rates,
        comparison.rate_intervals,
        strict=True,
    ):
        # Text, not str: a path may hold what rich takes for markup.
        table.add_row(label, Text(name), f"{k}/{outcomes.total}", f"{rate:.1%}", _range(interval))
    console = Console()
    console.print(table)
    low, high = comparison.difference_interval
    console.print(
        f"second minus first: {100 * outcomes.difference:+.1f} points, "
        f"95 % interval {100 * low:+.1f} to {100 * high:+.1f}; "
        f"exact McNemar p = {comparison.mcnemar_p:.3g}",
        highlight=False,
        soft_wrap=True,
    )
    console.print(
        f"solved by both {outcomes.both}, only first {outcomes.only_first}, "
        f"only second {outcomes.only_second}, neither {outcomes.neither}",
        highlight=False,
        soft_wrap=True,
    )
    if comparison.seeds_left_out:
        console.print(
            f"left out: {comparison.seeds_left_out} seeds that only one has", soft_wrap=True
        )
    for name, (first, second) in comparison.differing_settings.items():
        console.print(
            f"note: {name} differs, {first} and {second}", highlight=False, soft_wrap=True
        )


def _range(interval: "Interval") -> str:
    return f"{interval[0]:.1%} to {interval[1]:.1%}"
