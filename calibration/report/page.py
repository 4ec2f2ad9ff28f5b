"""The page of a calibration: one HTML file that needs nothing else."""

import base64
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import jinja2
import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from calibration.report.advice import advise
from calibration.report.charts import (
    Bar,
    bar_chart,
    corner_chart,
    direction_chart,
    ellipse_chart,
)
from calibration.report.views import CameraViews, Rgb, draw_corners
from calibration.result import CalibrationResult
from robot_policy.core.files import replacing

type Array = NDArray[np.floating]

_PICTURES = 4
_JPEG_QUALITY = 82
_TITLES = {
    "hand_eye": "Hand-eye calibration",
    "intrinsics": "Intrinsics",
    "time_offset": "Time offset",
    "depth_refinement": "Camera found by the robot it sees",
    "depth": "Depth scale and bias",
}
_RESIDUALS = {
    "reprojection_px": ("Reprojection error", "px"),
    "leave_one_out_mm": ("Leave-one-out error, position", "mm"),
    "leave_one_out_deg": ("Leave-one-out error, orientation", "deg"),
    "surface_mm": ("Distance from the robot's surface", "mm"),
    "depth_mm": ("Depth error", "mm"),
}
_UNITS = {"mm": "mm", "deg": "deg", "px": "px", "ms": "ms", "percent": "%", "m": "m", "s": "s"}
_HEADLINES = {
    "hand_eye": ("leave_one_out_mm", "leave_one_out_deg", "reprojection_px", "poses", "diversity"),
    "intrinsics": ("held_out_px", "reprojection_px", "fx_std_percent", "coverage", "frames"),
    "time_offset": ("offset_ms", "std_ms", "reprojection_px", "used", "turning_deg_s"),
    "depth_refinement": ("sd_mm", "sd_deg", "agreement", "moved_mm", "moved_deg"),
    "depth": ("before_mm", "after_mm", "nearest_m", "furthest_m", "points"),
}


def write_report(
    path: Path, result: CalibrationResult, *, views: Sequence[CameraViews] = ()
) -> None:
    """Writes the page, whole or not at all; it refers to no other address.

    Args:
        path: The HTML file.
        result: What it shows.
        views: The pictures that the result was computed from, where they are at hand.

    Raises:
        DataError: If a picture cannot be read.
    """
    page = render_report(result, views=views)
    with replacing(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def render_report(result: CalibrationResult, *, views: Sequence[CameraViews] = ()) -> str:
    """Returns the page that `write_report` writes."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("calibration.report", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
    )
    return environment.get_template("report.html.j2").render(
        kind=result.kind,
        title=_TITLES.get(result.kind, result.kind),
        what=_what(result),
        date=result.provenance.date or "no date",
        headlines=[_figure(name, result.figures[name]) for name in _headlines(result)],
        advice=advise(result),
        notes=result.notes,
        residuals=_residuals(result),
        uncertainty=_uncertainty(result),
        transforms=_transforms(result),
        cameras=[_camera(one, result.kind) for one in views],
        figures=[_figure(name, value) for name, value in result.figures.items()],
        provenance=[
            ("inputs", f"sha256 {result.provenance.inputs_sha256}"),
            *result.provenance.versions.items(),
        ],
    )


def _what(result: CalibrationResult) -> str:
    values = result.values
    if result.kind == "hand_eye":
        cameras = ", ".join(values.get("cameras", []))
        return f"{values.get('mounting', '')}: {cameras}".replace("_", " ")
    if result.kind == "intrinsics":
        return f"{values['lens_model']}, {values['width']} x {values['height']} px"
    if result.kind == "time_offset":
        return f"stamp of a picture {1e3 * values['offset_s']:+.2f} ms = stamp of its joints"
    return ""


def _headlines(result: CalibrationResult) -> list[str]:
    std = [n for n in result.figures if n.endswith((".std_mm", ".std_deg"))]
    return [n for n in (*std, *_HEADLINES.get(result.kind, ())) if n in result.figures]


def _figure(name: str, value: float) -> dict[str, str]:
    """A figure with the unit that ends its name, ``base_T_camera.std_mm``."""
    stem, _, ending = name.rpartition("_")
    unit = _UNITS.get(ending, "")
    label = (stem if unit else name).replace(".std", ": standard deviation")
    if ending == "s" and stem.endswith("_deg"):
        label, unit = stem.removesuffix("_deg"), "deg/s"
    label = label if "_T_" in label else label.replace("_", " ")
    return {
        "label": label,
        "value": f"{value:.3g}" if abs(value) < 1e3 else f"{value:.0f}",
        "unit": unit,
    }


def _residuals(result: CalibrationResult) -> list[dict[str, Any]]:
    labels = result.values.get("poses", result.values.get("used", []))
    dropped = set(result.values.get("dropped", []))
    charts: list[dict[str, Any]] = []
    for name, values in result.residuals.items():
        title, unit = _RESIDUALS.get(name, (name.replace("_", " "), ""))
        if result.kind == "hand_eye" and name == "reprojection_px":
            title += ", the arm's own error taken out"
        known = labels if len(labels) == len(values) else [str(i) for i in range(len(values))]
        bars = [
            Bar(label, float(v), label in dropped)
            for label, v in zip(known, values, strict=True)
            if np.isfinite(v)
        ]
        if bars:
            svg = bar_chart(bars, unit=unit, label=f"{title} by pose")
            charts.append({"title": title, "svg": svg, "dropped": any(b.left_out for b in bars)})
    return charts


def _transforms(result: CalibrationResult) -> list[dict[str, Any]]:
    """Every transform that was found, and where its camera lies with 95 %."""
    shown: list[dict[str, Any]] = []
    for name, value in result.values.items():
        if np.shape(value) != (4, 4) or name.startswith("next_"):
            continue
        chart: Markup | None = None
        if f"{name}.tx_m" in result.parameters:
            block = result.covariance_of(name)[3:, 3:]
            label = f"95 % regions of the position of {name}"
            chart = ellipse_chart(block, scale=1e3, unit="mm", label=label)
        rows = [" ".join(f"{x: .5f}" for x in row) for row in np.asarray(value)]
        shown.append({"name": name, "rows": rows, "chart": chart, "last": name.split("_T_")[-1]})
    return shown


def _uncertainty(result: CalibrationResult) -> list[dict[str, Any]]:
    """Standard deviations of all parameters, degrees and millimetres where they are rad and m."""
    std = np.sqrt(np.clip(np.diag(result.covariance), 0.0, None))
    rows: list[dict[str, Any]] = []
    for name, value in zip(result.parameters, std, strict=True):
        stem, _, ending = name.rpartition("_")
        factor, unit = {"rad": (180 / np.pi, "deg"), "m": (1e3, "mm"), "s": (1e3, "ms")}.get(
            ending, (1.0, _UNITS.get(ending, ""))
        )
        label = stem if ending in ("rad", "m", "s", "px") else name
        rows.append({"name": label, "value": f"{factor * float(value):.3g}", "unit": unit})
    return rows


def _camera(views: CameraViews, kind: str) -> dict[str, Any]:
    rows = [i for i, used in enumerate(views.used) if used]
    residuals = views.residuals
    size = (views.lens.width, views.lens.height)
    return {
        "name": views.camera,
        "by": "the arm and the calibration" if kind == "hand_eye" else "the calibration",
        "coverage": corner_chart(
            [views.seen[i] for i in rows],
            [residuals[i] for i in rows],
            size,
            label=f"Where {views.camera} saw corners",
        ),
        "directions": direction_chart(
            views.camera_T_board, views.used, label=f"From where {views.camera} saw the board"
        ),
        "pictures": [_picture(views, row) for row in views.telling(_PICTURES)],
    }


def _picture(views: CameraViews, row: int) -> dict[str, str]:
    used = "" if views.used[row] else ", left out"
    return {
        "label": f"{views.labels[row]}: {views.rms_px[row]:.2f} px{used}",
        "source": "data:image/jpeg;base64," + _jpeg(draw_corners(views, row)),
    }


def _jpeg(image: Rgb) -> str:
    order = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    done, data = cv2.imencode(".jpg", order, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    assert done
    return re.sub(r"\s", "", base64.b64encode(data.tobytes()).decode())
