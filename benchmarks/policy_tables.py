"""Writes the tables of docs/policies.md from the results file, between two marks."""

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
    parts = [_success(data["rows"]), _latency(data["rows"]), _training(data["rows"])]
    parts.append(targets_table(data["targets"]))
    write_generated(page, "policies", parts)


def _success(rows: Sequence[dict[str, Any]]) -> str:
    cells = [row for row in rows if "successes" in row]
    if not cells:
        return ""
    columns = ("cell", "solved", "95 % interval", "windows seen", "device")
    return table(
        columns,
        [
            (
                row["cell"],
                f"{row['successes']}/{row['episodes']}",
                f"{100 * row['ci95'][0]:.0f}-{100 * row['ci95'][1]:.0f} %",
                _windows(row),
                row["device"],
            )
            for row in cells
        ],
    )


def _windows(row: dict[str, Any]) -> str:
    """How many the policy has seen; "" for another way to draw from one that has a row already."""
    if "gradient_steps" not in row:
        return ""
    return f"{row['gradient_steps'] * row['batch_size'] / 1e6:.2f} M"


def _latency(rows: Sequence[dict[str, Any]]) -> str:
    cells = [row for row in rows if row.get("bench") == "latency"]
    if not cells:
        return ""
    return table(
        ("plan of", "candidates", "p50 [ms]", "p99 [ms]"),
        [
            (
                Path(row["checkpoint"]).name,
                str(row["candidates"]),
                f"{row['p50_ms']:.1f}",
                f"{row['p99_ms']:.1f}",
            )
            for row in cells
        ],
    )


def _training(rows: Sequence[dict[str, Any]]) -> str:
    cells = [row for row in rows if row.get("bench") == "train"]
    if not cells:
        return ""
    return table(
        ("training of", "samples/s"),
        [(row["policy"], f"{row['samples_per_s']:.0f}") for row in cells],
    )
