"""Episodes as one HTML file that needs nothing else: videos, plots, and a cursor through both."""

import base64
import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup

from robot_policy.core.files import replacing
from robot_policy.data.display.clip import MEDIA_TYPE, clip
from robot_policy.data.display.shown_episode import Group, ShownEpisode
from robot_policy.data.summary import DatasetSummary

_MOST_POINTS = 1500


def write_page(path: Path, summary: DatasetSummary, episodes: Iterable[ShownEpisode]) -> None:
    """Writes the page, whole or not at all; it refers to no other address.

    Args:
        path: The HTML file.
        summary: Of the whole dataset.
        episodes: What it shows; consumed one at a time.

    Raises:
        DataError: If an image cannot be read.
    """
    page = render_page(summary, episodes)
    with replacing(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def render_page(summary: DatasetSummary, episodes: Iterable[ShownEpisode]) -> str:
    """Returns the page that `write_page` writes."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("robot_policy.data.display", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
    )
    shown = [_episode(episode) for episode in episodes]
    facts = summary.to_json()
    return environment.get_template("view.html.j2").render(
        name=summary.path.resolve().name,
        facts=facts,
        episodes=shown,
        data=_script_json([{k: e[k] for k in ("length", "rate", "groups")} for e in shown]),
    )


def _episode(episode: ShownEpisode) -> dict[str, Any]:
    recording = episode.recording
    told = {k: v for k, v in recording.metadata.items() if not isinstance(v, dict)}
    return {
        "number": episode.number,
        "rate": episode.rate_hz,
        "length": len(recording),
        "seconds": len(recording) / episode.rate_hz,
        "success": recording.success.value,
        "task": recording.task,
        "metadata": {name: str(value) for name, value in told.items()},
        "cameras": [
            {
                "name": camera,
                "source": f"data:{MEDIA_TYPE};base64,"
                + base64.b64encode(clip(frames, episode.rate_hz)).decode(),
            }
            for camera, frames in episode.cameras.items()
        ],
        "groups": [_group(group) for group in episode.groups],
    }


def _group(group: Group) -> dict[str, Any]:
    every = max(1, math.ceil(len(group.values) / _MOST_POINTS))
    return {
        "key": group.key,
        "left_out": group.left_out,
        "every": every,
        "entries": [
            {"name": name, "unit": unit, "values": _numbers(values)}
            for name, unit, values in zip(
                group.names, group.units, group.values[::every].T, strict=True
            )
        ],
    }


def _numbers(values: np.ndarray) -> list[float | None]:
    """JSON has no NaN; a gap in the line shows it."""
    return [float(f"{v:.5g}") if math.isfinite(v) else None for v in values.tolist()]


def _script_json(data: Any) -> Markup:
    """JSON that cannot end the script element it stands in."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))
