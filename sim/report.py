"""The HTML report of an evaluation: one file that needs nothing else."""

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup

from robot_policy.core.files import replacing
from sim.charts import Series, histogram, interval_chart
from sim.replay import Video
from sim.result import EvaluationResult
from sim.steering_report import steering_section


def write_report(
    path: Path,
    result: EvaluationResult,
    *,
    videos: Sequence[Video] = (),
    video_note: str = "",
) -> None:
    """Writes the report whole or not at all.

    Styles, charts and videos are inside the file, which refers to no other address.

    Args:
        path: The HTML file.
        result: What it shows.
        videos: Shown in this order.
        video_note: Why there are no videos, where there are none.
    """
    # Formats first: no page may be left half written because a value did not format.
    page = render_report(result, videos=videos, video_note=video_note)
    with replacing(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def render_report(
    result: EvaluationResult, *, videos: Sequence[Video] = (), video_note: str = ""
) -> str:
    """Returns the page that `write_report` writes."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("sim", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
    )
    outcomes = _outcome_series(result)
    wall_time = {"wall_time": f"{result.duration_s:.1f} s"}
    return environment.get_template("report.html.j2").render(
        result=result,
        percent=_percent,
        interval_chart=interval_chart(result.success_rate, result.ci95),
        figures=_figures(result),
        videos=[_embedded(video) for video in videos],
        video_note=video_note,
        steps_chart=histogram(outcomes, label="Histogram of the steps per episode", unit="steps"),
        step_legend=[(series.label, series.style) for series in outcomes],
        latency_chart=_latency_chart(result),
        steering=steering_section(result),
        fact_tables=[
            ("Settings", _facts(result.settings.to_json() | wall_time)),
            ("Machine", _facts(result.machine)),
            ("Versions", _facts(result.versions)),
        ],
    )


def _percent(rate: float) -> str:
    return f"{100 * rate:.1f}".removesuffix(".0") + " %"


def _outcome_series(result: EvaluationResult) -> list[Series]:
    solved = [episode.steps for episode in result.episodes if episode.success]
    failed = [episode.steps for episode in result.episodes if not episode.success]
    series = [Series("successes", "success", solved), Series("failures", "failure", failed)]
    return [s for s in series if s.values]


def _latency_chart(result: EvaluationResult) -> Markup | None:
    calls = [ms for episode in result.episodes for ms in episode.policy_ms]
    if not calls:
        return None
    return histogram(
        [Series("calls", "plain", calls)], label="Histogram of the time per policy call", unit="ms"
    )


def _figures(result: EvaluationResult) -> list[dict[str, str]]:
    latency = result.policy_ms
    solved = [episode.steps for episode in result.episodes if episode.success]
    stops = sum(bool(episode.stop) for episode in result.episodes)
    limited = sum(episode.limited_steps for episode in result.episodes)
    rows = [
        ("Steps to success, median", f"{np.median(solved):g}" if solved else "none", ""),
        ("Policy call, median", _number(latency["p50"]), "ms"),
        ("Policy call, 99 %", _number(latency["p99"]), "ms"),
        ("Simulation", _number(result.env_steps_per_s), "steps/s"),
        ("Safety stops", str(stops), ""),
        ("Steps limited", str(limited), ""),
    ]
    return [{"label": label, "value": value, "unit": unit} for label, value, unit in rows]


def _number(value: float | None) -> str:
    if value is None:
        return "none"
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}"


def _facts(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(name.replace("_", " "), _text(value)) for name, value in values.items()]


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return str(value)


def _embedded(video: Video) -> dict[str, Any]:
    return {
        "data": base64.b64encode(video.path.read_bytes()).decode(),
        "seed": video.seed,
        "success": video.success,
        "steps": video.steps,
        "reproduced": video.reproduced,
    }
