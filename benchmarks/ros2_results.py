"""benchmarks/results/ros2.json, which several scripts write a part of each."""

from collections.abc import Sequence
from typing import Any

from measure import RESULTS, Target, load_targets, print_targets, write_results

from robot_policy.core.files import read_json

PATH = RESULTS / "ros2.json"


def known_rows() -> list[dict[str, Any]]:
    """Returns the rows that were measured so far."""
    return read_json(PATH)["rows"] if PATH.exists() else []


def merge(*, rows: Sequence[dict[str, Any]], targets: Sequence[Target], command: str) -> None:
    """Puts rows in place of those of the same cell, and targets of those of the same id."""
    cells = {row["cell"]: row for row in [*known_rows(), *rows]}
    before = load_targets(PATH) if PATH.exists() else []
    named = {target.id: target for target in [*before, *targets]}
    write_results(PATH, command=command, rows=list(cells.values()), targets=list(named.values()))
    print_targets(targets)
