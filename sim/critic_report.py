"""The HTML report of a critic: one file that needs nothing else."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2

from robot_policy.core.files import replacing
from sim.line_chart import Line, line_chart

_CURVES = (
    ("success", "successes", "success"),
    ("failure", "failures", "failure"),
    ("other_instruction", "other instruction", "faint"),
)
_PICKS = (
    ("picked", "highest judgement", "failure"),
    ("cautious", "cautious", "plain"),
    ("random", "random", "faint"),
    ("closest", "closest", "success"),
)


def write_critic_report(path: Path, figures: Mapping[str, Any]) -> None:
    """Writes the report whole or not at all.

    Args:
        path: The HTML file.
        figures: As `robot-policy critic-report --json` has them.
    """
    page = render_critic_report(figures)
    with replacing(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def render_critic_report(figures: Mapping[str, Any]) -> str:
    """Returns the page that `write_critic_report` writes."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("sim", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
    )
    return environment.get_template("critic_report.html.j2").render(
        figures=figures,
        charts=[_values(figures["values"]), _calibration(figures), *_candidates(figures)],
        facts=[
            ("critic", figures["critic"]),
            ("kind", figures["kind"]),
            ("dataset", figures["dataset"]),
            ("policy", figures["policy"] or "none"),
            *((f"labels: {name}", value) for name, value in figures["labels"].items()),
            *((f"measure: {name}", value) for name, value in figures["measure"].items()),
        ],
    )


def _values(curves: Mapping[str, Sequence[float | None]]) -> dict[str, Any]:
    lines = [Line(label, style, _points(curves[name])) for name, label, style in _CURVES]
    return _chart("Value along an episode", lines, "part of the episode", "value")


def _points(values: Sequence[float | None]) -> list[tuple[float, float]]:
    last = max(len(values) - 1, 1)
    return [(i / last, value) for i, value in enumerate(values) if value is not None]


def _calibration(figures: Mapping[str, Any]) -> dict[str, Any]:
    bins = figures["calibration"]["bins"]
    measured = [(entry["value"], entry["return"]) for entry in bins]
    low, high = min(x for x, _ in measured), max(x for x, _ in measured)
    lines = [
        Line("measured", "plain", measured),
        Line("perfect", "faint", [(low, low), (high, high)]),
    ]
    return _chart("Return that followed", lines, "value", "return")


def _candidates(figures: Mapping[str, Any]) -> list[dict[str, Any]]:
    table = figures["candidates"]
    if not table:
        return []
    places = list(range(len(table)))
    counts = ", ".join(str(row["candidates"]) for row in table)
    lines = [
        Line(label, style, [(p, table[p][name]) for p in places]) for name, label, style in _PICKS
    ]
    values = [Line("highest judgement", "failure", [(p, table[p]["value"]) for p in places])]
    return [
        _chart("Distance to what worked, over K", lines, f"K = {counts}", "distance"),
        _chart("Judgement of what is picked, over K", values, f"K = {counts}", "value"),
    ]


def _chart(title: str, lines: Sequence[Line], x_label: str, y_label: str) -> dict[str, Any]:
    drawn = [line for line in lines if line.points]
    return {
        "title": title,
        "svg": line_chart(drawn, label=title, x_label=x_label, y_label=y_label),
        "legend": [(line.label, line.style) for line in drawn],
    }
