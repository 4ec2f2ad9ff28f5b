"""What teleoperation promises: latency, crashes, recordings, a person through the page, learning.

Stopped and run again, it goes on. Results go to benchmarks/results/teleop.json
and into docs/teleop.md.
"""

import sys
from pathlib import Path

import teleop_crash
import teleop_human
import teleop_latency
import teleop_learning
import teleop_recording
from generated import table, write_generated
from measure import ROOT
from parts import run_parts

from robot_policy.core.files import read_json


def write_tables(results: Path) -> None:
    """Puts the targets into the docs."""
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
    write_generated(ROOT / "docs" / "teleop.md", "teleop", [table(columns, lines)])


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
