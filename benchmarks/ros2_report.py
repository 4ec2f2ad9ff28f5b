"""Rows, targets and tables of benchmarks/ros2.py."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from generated import table, targets_table, write_generated
from measure import ROOT, Target
from ros2_results import known_rows, merge

from robot_policy.core.files import read_json
from sim.provenance import machine
from sim.result import EvaluationResult
from sim.statistics import wilson_interval

CONTINUING = "rtc_trained"
"""`rtc` with a policy that was trained to continue the actions under way."""
SCHEDULES = ("naive", "receding", "async", "ensemble", "rtc", CONTINUING)
"""Rows of the table."""
LATENCIES_MS = (0, 50, 100, 200)
WORST_MS = LATENCIES_MS[-1]
BEFORE = "receding"
"""The schedule that there was before the others, and that policies are evaluated with."""

type Row = dict[str, Any]


@dataclass(frozen=True)
class Cell:
    """One schedule under one latency, the policy, and where its evaluation lies."""

    row_name: str
    latency_ms: int
    checkpoint: Path
    folder: Path

    @property
    def name(self) -> str:
        """Of the job and of the row."""
        return f"{_LATENCY}{self.row_name}-{self.latency_ms}"

    @property
    def schedule(self) -> str:
        """Of `robot-policy eval`."""
        return "rtc" if self.row_name == CONTINUING else self.row_name

    @property
    def result(self) -> Path:
        """What `eval --json` writes."""
        return self.folder / f"{self.row_name}-{self.latency_ms}.json"

    def row(self) -> Row | None:
        """Returns what was measured, None if nothing was."""
        if not self.result.exists():
            return None
        result = EvaluationResult.load(self.result)
        steps = sum(episode.steps for episode in result.episodes)
        held = sum(episode.held_steps for episode in result.episodes)
        return {
            "cell": self.name,
            "schedule": self.row_name,
            "latency_ms": self.latency_ms,
            "task": result.task,
            "checkpoint": Path(result.checkpoint).name,
            "first_seed": result.episodes[0].seed,
            "episodes": len(result.episodes),
            "successes": result.successes,
            "ci95": list(wilson_interval(result.successes, len(result.episodes))),
            "failed_seeds": [e.seed for e in result.episodes if not e.success],
            "jerk": result.jerk,
            "held_fraction": round(held / steps, 4),
            "policy_ms_p50": result.policy_ms["p50"],
            "machine": result.machine,
        }


_LATENCY, _CONTROL, _CAMERA = "latency-", "control_rate", "camera_to_command"
"""Cells of this file; others write theirs into the same results."""


def _is_ours(cell: str) -> bool:
    return cell.startswith(_LATENCY) or cell in (_CONTROL, _CAMERA)


def write_report(cells: Sequence[Cell], *, control: Path, camera: Path, command: str) -> None:
    """Writes rows and targets of what was measured, and the tables of the docs."""
    measured = [row for cell in cells if (row := cell.row()) is not None]
    for cell, path in ((_CONTROL, control), (_CAMERA, camera)):
        if path.exists():
            measured.append({"cell": cell, **read_json(path), "machine": machine()})
    # What was measured before, and perhaps elsewhere, stays where there is nothing newer.
    rows = [row for row in known_rows() if _is_ours(row["cell"])]
    found = {row["cell"]: row for row in [*rows, *measured]}
    rows = list(found.values())
    latencies = {cell: row for cell, row in found.items() if cell.startswith(_LATENCY)}
    targets = _latency_targets(latencies, command)
    if _CONTROL in found:
        targets += _control_targets(found[_CONTROL], command)
    if _CAMERA in found:
        targets += _camera_targets(found[_CAMERA], command)
    merge(rows=rows, targets=targets, command=command)
    _write_tables(rows, targets, ROOT / "docs" / "ros2.md")


def _latency_targets(rows: dict[str, Row], command: str) -> list[Target]:
    """The best schedule at the worst latency, against itself without, and against waiting."""
    at_worst = [row for row in rows.values() if row["latency_ms"] == WORST_MS]
    if not at_worst:
        return []
    best = max(at_worst, key=lambda row: (row["successes"], -row["jerk"]["commanded"]))
    targets: list[Target] = []
    for suffix, schedule in (("", best["schedule"]), (f"_against_{BEFORE}", BEFORE)):
        reference = rows.get(f"latency-{schedule}-0")
        if reference is None:
            continue
        words = f"{best['schedule']}, the best at {WORST_MS} ms, against {schedule} at 0 ms"
        points = _percent(best) - _percent(reference)
        ratio = best["jerk"]["commanded"] / reference["jerk"]["commanded"]
        only = f"{command} --only latency"
        targets += [
            Target(
                f"latency_success{suffix}",
                f"{words}: solves at most 5 points fewer",
                round(points, 2),
                "points",
                points >= -5,
                only,
            ),
            Target(
                f"latency_jerk{suffix}",
                f"{words}: mean jerk no higher",
                round(ratio, 3),
                "times",
                ratio <= 1.0,
                only,
            ),
        ]
    return targets


def _percent(row: Row) -> float:
    return 100 * row["successes"] / row["episodes"]


def _control_targets(row: Row, command: str) -> list[Target]:
    late, where = row["lateness_ms"], f"{row['rate_hz']:g} Hz for {row['seconds'] / 60:.0f} min"
    found = (
        ("missed", "no tick missed", row["missed_ticks"], "ticks", row["missed_ticks"] == 0),
        ("p99", "lateness p99 below 2 ms", late["p99"], "ms", late["p99"] < 2),
        ("p999", "lateness p99.9 below 5 ms", late["p99.9"], "ms", late["p99.9"] < 5),
        (
            *("memory", "grows by less than 20 MB", row["memory_growth_mb"], "MB"),
            row["memory_growth_mb"] < 20,
        ),
    )
    only = f"{command} --only control_rate"
    return [
        Target(f"control_rate_{name}", f"{where}: {wanted}", float(measured), unit, holds, only)
        for name, wanted, measured, unit, holds in found
    ]


def _camera_targets(row: Row, command: str) -> list[Target]:
    only = f"{command} --only camera_to_command"
    return [
        Target(
            f"camera_to_command_{name}",
            f"picture of {row['side_px']} px to command, {name} below {most} ms",
            row[f"{name}_ms"],
            "ms",
            row[f"{name}_ms"] < most,
            only,
        )
        for name, most in (("p50", 5), ("p99", 10))
    ]


def _write_tables(rows: Sequence[Row], targets: Sequence[Target], page: Path) -> None:
    write_generated(
        page, "ros2", [_latency_table(rows), targets_table([asdict(target) for target in targets])]
    )


def _latency_table(rows: Sequence[Row]) -> str:
    """Solved, and mean jerk of the commanded path, by schedule and latency."""
    cells = {(r["schedule"], r["latency_ms"]): r for r in rows if "schedule" in r and "jerk" in r}
    if not cells:
        return ""
    lines = [
        [schedule, *(_shown(cells.get((schedule, ms))) for ms in LATENCIES_MS)]
        for schedule in SCHEDULES
    ]
    return table(["solved, jerk [m/s³]", *(f"{ms} ms" for ms in LATENCIES_MS)], lines)


def _shown(row: Row | None) -> str:
    if row is None:
        return ""
    return f"{row['successes']}/{row['episodes']}, {row['jerk']['commanded']:.0f}"
