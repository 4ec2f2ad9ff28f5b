"""Tables of docs/language.md, generated from benchmarks/results/language.json."""

from pathlib import Path

from generated import table, write_generated
from measure import ROOT

from robot_policy.core.files import read_json

PAGE = ROOT / "docs" / "language.md"
_PUBLISHED = (
    ("CLIP-RT, common tasks", "real UR5, 90 trials", "54"),
    ("CLIP-RT, novel tasks", "real UR5, 90 trials", "53"),
    ("CLIP-RT, class tokens instead of language, novel tasks", "real UR5, 90 trials", "47"),
    ("CLIP-RT, without augmentation, common tasks", "real UR5, 90 trials", "30"),
    ("OpenVLA, novel tasks", "real UR5, 90 trials", "29"),
    ("CLIP-RT+, LIBERO average", "simulation", "93"),
)
"""https://clip-rt.github.io: other robots, tasks and demonstrations."""


def write_tables(path: Path) -> None:
    """Writes what was measured, and what was published beside it."""
    results = read_json(path)
    rows = {row["cell"]: row for row in results["rows"]}
    replays = [
        [
            cell.removeprefix("replay-"),
            f"{row['survived']} of {row['demonstrations']}",
            _interval(row["ci95"]),
            f"{row['error_mm']:g}",
            f"{100 * row['composed'] / max(1, row['decisions']):.0f} %",
        ]
        for cell, row in rows.items()
        if cell.startswith("replay-")
    ]
    evaluated = [
        [cell, f"{row['successes']} of {row['episodes']}", _interval(row["ci95"])]
        for cell, row in rows.items()
        if "successes" in row
    ]
    targets = [
        [t["target"], "not measured" if t["measured"] is None else f"{t['measured']:g} {t['unit']}"]
        for t in results["targets"]
    ]
    published = [list(row) for row in _PUBLISHED]
    write_generated(
        PAGE,
        "language",
        [
            table(("asked for", "measured"), targets),
            table(("replayed as primitives", "succeed", "95 %", "mm off", "composed"), replays),
            table(("policy @ task", "solved", "95 %"), evaluated),
            table(("published", "where", "success [%]"), published),
        ],
    )


def _interval(ends: list[float]) -> str:
    return f"{100 * ends[0]:.0f} to {100 * ends[1]:.0f} %"
