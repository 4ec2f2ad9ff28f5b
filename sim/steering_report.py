"""What the report of an evaluation says about steering."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from robot_policy.core.steering_record import SteeringRecord
from sim.line_chart import Line, line_chart
from sim.result import EpisodeResult, EvaluationResult


def steering_section(result: EvaluationResult) -> dict[str, Any] | None:
    """Returns figures and charts, or None where the policy was not steered."""
    records = [record for episode in result.episodes for record in episode.steering]
    if not records:
        return None
    return {"figures": _figures(records), "charts": _charts(result)}


def _figures(records: Sequence[SteeringRecord]) -> list[dict[str, str]]:
    count = len(records)
    gains = [r.value - r.first for r in records if r.value is not None and r.first is not None]
    rows = [
        ("Plans", str(count), ""),
        ("First sample kept", _percent(sum(r.chosen == 0 for r in records), count), "%"),
        ("… for want of agreement", _percent(_because(records, "noise"), count), "%"),
        ("… for want of support", _percent(_because(records, "support"), count), "%"),
        ("Faults of the judge", str(sum(bool(r.fault) for r in records)), ""),
        ("Gain over the first, mean", f"{np.mean(gains):.3g}" if gains else "none", ""),
        ("Judging, median", f"{np.median([r.scoring_ms for r in records]):.2f}", "ms"),
    ]
    return [{"label": label, "value": value, "unit": unit} for label, value, unit in rows]


def _because(records: Sequence[SteeringRecord], reason: str) -> int:
    return sum(record.abstained == reason for record in records)


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.0f}"


def _charts(result: EvaluationResult) -> list[dict[str, Any]]:
    solved = [e for e in result.episodes if e.success]
    failed = [e for e in result.episodes if not e.success]

    def chart(title: str, what: Callable[[SteeringRecord], float | None]) -> dict[str, Any]:
        lines = [
            Line("successes", "success", _mean_line(solved, what)),
            Line("failures", "failure", _mean_line(failed, what)),
        ]
        lines = [line for line in lines if line.points]
        svg = line_chart(lines, label=title, x_label="plan of the episode", y_label="mean")
        return {"title": title, "svg": svg, "legend": [(x.label, x.style) for x in lines]}

    return [
        chart("Value of what is executed", lambda record: record.value),
        chart("Spread of the candidates", lambda record: record.spread),
    ]


def _mean_line(
    episodes: Sequence[EpisodeResult], what: Callable[[SteeringRecord], float | None]
) -> list[tuple[float, float]]:
    """Mean over the episodes that have an n-th plan."""
    longest = max((len(episode.steering) for episode in episodes), default=0)
    points: list[tuple[float, float]] = []
    for plan in range(longest):
        found = [what(e.steering[plan]) for e in episodes if plan < len(e.steering)]
        values = [value for value in found if value is not None]
        if values:
            points.append((float(plan), float(np.mean(values))))
    return points
