"""Writes the tables of docs/value_guidance.md from the results file, between two marks."""

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
    write_generated(
        page, "value_guidance", [_outcomes(data["rows"]), targets_table(data["targets"])]
    )


def _outcomes(rows: Sequence[dict[str, Any]]) -> str:
    columns = ("pair", "variant", "solved", "against the policy alone", "first kept", "judging")
    return table(columns, [_outcome(row) for row in rows])


def _outcome(row: dict[str, Any]) -> tuple[str, ...]:
    difference = ""
    if "difference" in row:
        low, high = (100 * bound for bound in row["difference_ci95"])
        difference = f"{100 * row['difference']:+.1f} ({low:+.1f} to {high:+.1f}) points"
    kept = f"{100 * row['first_kept']:.0f} %" if "first_kept" in row else ""
    judging = f"{row['scoring_ms']:.1f} ms" if "scoring_ms" in row else ""
    solved = f"{row['successes']}/{row['episodes']}"
    return row["pair"], row["variant"], solved, difference, kept, judging
