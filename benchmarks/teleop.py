"""What teleoperation promises: latency, crashes, recordings, a person through the page, learning.

Stopped and run again, it goes on. Results go to benchmarks/results/teleop.json
and into docs/teleop.md.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import teleop_crash
import teleop_human
import teleop_latency
import teleop_learning
import teleop_recording
from generated import table, write_generated
from measure import ROOT
from parts import run_parts

from robot_policy.core.files import read_json

_ARMS = {
    "few": "8 demonstrations",
    "corrected": "and 30 intervention episodes",
    "plain": "and 30 demonstrations instead",
    "steered": "8 demonstrations; steered by the proxy-value critic of the interventions",
}


def write_tables(results: Path) -> None:
    """Puts the targets into the docs, and the round of interventions."""
    known = {row["cell"]: row for row in read_json(results)["rows"]}
    arms = {name: known.get(f"learning: {name}") for name in _ARMS}
    learned = [
        (
            _ARMS[name],
            str(row["data"]["by_hand"]) if "data" in row else "",
            f"{round(row['success_rate'] * row['episodes'])} of {row['episodes']}",
            "" if "ci95" not in row else _points(row),
        )
        for name, row in arms.items()
        if row is not None
    ]
    lines = [
        (
            target["target"],
            "not measured" if target["measured"] is None else f"{target['measured']:g}",
            target["unit"],
            "holds" if target["holds"] else "misses" if target["measured"] is not None else "",
        )
        for target in read_json(results)["targets"]
    ]
    columns = ("target", "measured", "unit", "")
    learning = table(("trained on", "steps by hand", "solved", "gain in pairs, 95 %"), learned)
    write_generated(ROOT / "docs" / "teleop.md", "teleop", [table(columns, lines), learning])


def _points(row: Mapping[str, Any]) -> str:
    low, high = (100 * bound for bound in row["ci95"])
    return f"{100 * row['gain_over_few']:+.1f} points ({low:+.1f} to {high:+.1f})"


def main() -> int:
    """Runs what is missing."""
    return run_parts(
        "teleop",
        [teleop_latency, teleop_crash, teleop_human, teleop_recording, teleop_learning],
        logs=ROOT / "runs" / "teleop" / "logs",
        about=__doc__,
        write_tables=write_tables,
    )


if __name__ == "__main__":
    sys.exit(main())
