"""What an evaluation prints, in process or over ROS 2."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sim.result import EvaluationResult


def show_result(result: "EvaluationResult", *, report: Path | None = None) -> None:
    """Prints the figures of an evaluation, and where its report is."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    low, high = result.ci95
    latency = result.policy_ms
    stops = sum(bool(episode.stop) for episode in result.episodes)
    rows = [
        ("task", result.task),
        ("checkpoint", result.checkpoint),
        ("solved", f"{result.successes}/{len(result.episodes)} = {result.success_rate:.1%}"),
        ("95 % interval", f"{low:.1%} to {high:.1%} (Wilson)"),
        ("policy call", f"p50 {latency['p50']} ms, p99 {latency['p99']} ms"),
        ("simulation", f"{result.env_steps_per_s:.0f} steps/s, {result.duration_s:.1f} s in all"),
    ]
    jerk = result.jerk["commanded"]
    if jerk is not None:
        rows.append(("mean jerk", f"{jerk:.1f} commanded, {result.jerk['measured']:.1f} measured"))
    held = sum(episode.held_steps for episode in result.episodes)
    if held:
        rows.append(("held", f"{held} of {sum(e.steps for e in result.episodes)} steps"))
    if stops:
        rows.append(("safety stops", f"{stops} episodes"))
    if report is not None:
        rows.append(("report", str(report)))
    table = Table(box=box.SIMPLE, show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in rows:
        # Text, not str: a path may hold what rich takes for markup.
        table.add_row(name, Text(value))
    Console().print(table)
