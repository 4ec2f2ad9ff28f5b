"""Writes the tables of docs/memory.md from the results file, between two marks."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from generated import table, targets_table, write_generated

from robot_policy.core.files import read_json


def write_tables(results: Path, page: Path) -> None:
    """Puts the tables of `results` in place of those in `page`.

    Raises:
        DataError: If the page lacks the marks.
    """
    data = read_json(results)
    rows = data["rows"]
    parts = [_success(rows), _overhead(rows), _search(rows), _cached(rows)]
    write_generated(page, "memory", [*parts, targets_table(data["targets"])])


def _success(rows: Sequence[dict[str, Any]]) -> str:
    return table(
        ("cell", "solved", "95 % interval", "windows seen", "plan p50 [ms]"),
        [
            (
                row["cell"],
                f"{row['successes']}/{row['episodes']}",
                f"{100 * row['ci95'][0]:.0f}-{100 * row['ci95'][1]:.0f} %",
                f"{row['gradient_steps'] * row['batch_size'] / 1e6:.2f} M",
                f"{row['policy_ms_p50']:.1f}",
            )
            for row in rows
            if "successes" in row
        ],
    )


def _overhead(rows: Sequence[dict[str, Any]]) -> str:
    return table(
        ("MCNN over", "plan [ms]", "backbone alone [ms]", "more [%]"),
        [
            (
                row["cell"].partition(" ")[2],
                f"{row['with_ms']:.2f}",
                f"{row['without_ms']:.2f}",
                f"{row['overhead_percent']:.0f}",
            )
            for row in rows
            if "overhead_percent" in row
        ],
    )


def _search(rows: Sequence[dict[str, Any]]) -> str:
    return table(
        ("search among 100,000", "p50 [ms]", "p99 [ms]", "built in [s]", "nearest found [%]"),
        [
            (
                row["cell"].partition(" ")[2],
                f"{row['p50_ms']:.2f}",
                f"{row['p99_ms']:.2f}",
                f"{row['built_s']:.1f}",
                f"{row['nearest_found_percent']:.1f}",
            )
            for row in rows
            if "nearest_found_percent" in row
        ],
    )


def _cached(rows: Sequence[dict[str, Any]]) -> str:
    return table(
        ("images are encoded", "windows/s"),
        [
            (words, f"{row[key]:.2f}")
            for row in rows
            if "times" in row
            for words, key in (
                ("in every step", "samples_per_s_every_step"),
                ("once, by frozen encoders", "samples_per_s_once"),
            )
        ],
    )
