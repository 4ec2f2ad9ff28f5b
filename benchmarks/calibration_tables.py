"""Writes the tables of docs/calibration.md from the results file, between two marks."""

from pathlib import Path
from typing import Any

from generated import table, targets_table, write_generated

from robot_policy.core.files import read_json

_CONDITIONS = {
    "": "good poses",
    "_bad": "4 of 20 bad",
    "_coarse": "good poses, encoders three times as bad",
}


def write_tables(results: Path, page: Path) -> None:
    """Puts the tables of `results` in place of those in `page`.

    Raises:
        DataError: If the page lacks the marks.
    """
    data = read_json(results)
    known = {row["cell"]: row for row in data["rows"]}
    parts = [_solvers(known), _others(known), _worth(known), targets_table(data["targets"])]
    write_generated(page, "calibration", parts)


def _solvers(known: dict[str, dict[str, Any]]) -> str:
    """Every solver's median error, position and orientation, by cell."""
    cells = {
        f"{mounting}{condition}": f"{mounting.replace('_', ' ')}, {words}"
        for condition, words in _CONDITIONS.items()
        for mounting in ("eye_in_hand", "eye_to_hand")
        if f"hand-eye-{mounting}{condition}" in known
    }
    if not cells:
        return ""
    columns = ["median error, mm and degrees", *cells.values()]
    rows = [["**robot-policy**", *(_error(known[f"hand-eye-{cell}"]["ours"]) for cell in cells)]]
    first = known[f"hand-eye-{next(iter(cells))}"]
    for solver in first["opencv"]:
        errors = (_error(known[f"hand-eye-{cell}"]["opencv"][solver]) for cell in cells)
        rows.append([f"OpenCV {solver}", *errors])
    rows.append(["set-ups", *(str(known[f"hand-eye-{cell}"]["setups"]) for cell in cells)])
    return table(columns, rows)


def _error(errors: dict[str, Any]) -> str:
    low, high = errors["median_mm_ci95"]
    mm = f"{errors['median_mm']:.2f} ({low:.2f} to {high:.2f})"
    return f"{mm}, {errors['median_deg']:.3f}°"


def _others(known: dict[str, dict[str, Any]]) -> str:
    rows: list[tuple[str, str, str, str]] = []
    for cell in ("intrinsics-rendered", "intrinsics"):
        if row := known.get(cell):
            rows += _intrinsics(row)
    if row := known.get("time-offset"):
        ms = row["error_ms"]
        beside = f"largest {ms['largest']:.3f} ms; 95 % interval held in {row['interval_95']:.0%}"
        what = f"time offset, {row['setups']} motions at 30 Hz"
        rows.append((what, f"{ms['median']:.3f} ms", f"{ms['p90']:.3f} ms", beside))
    if row := known.get("depth"):
        mm, deg = row["error_mm"], row["error_deg"]
        rows.append(
            (
                f"depth camera by the arm it sees, {row['setups']} cameras",
                f"{mm['median']:.2f} mm, {deg['median']:.3f}°",
                f"{mm['p90']:.2f} mm, {deg['p90']:.3f}°",
                f"from {row['from']['mm']:g} mm and {row['from']['deg']:g}° off; 95 % region held "
                f"in {row['region_95']:.0%}",
            )
        )
    return table(("error", "median", "90 % below", "beside"), rows) if rows else ""


def _intrinsics(row: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    noise_px = row["noise"]["corner_px"]
    corners = f"corners with {noise_px:g} px of noise" if noise_px else "corners as detected"
    ours, theirs, px = row["focal_percent"], row["opencv_focal_percent"], row["held_out_px"]
    return [
        (
            f"focal length, {row['setups']} lenses, {corners}",
            f"{ours['median']:.3f} %",
            f"{ours['p90']:.3f} %",
            f"OpenCV: {theirs['median']:.3f} %",
        ),
        (
            f"reprojection of pictures held out, {corners}",
            f"{px['ours']:.4f} px",
            "",
            f"OpenCV: {px['opencv']:.4f} px; the true lens: {px['true_lens']:.4f} px",
        ),
    ]


def _worth(known: dict[str, dict[str, Any]]) -> str:
    words = {
        "exact": "the simulator's own positions, no camera",
        "calibrated": "measured by the calibrated camera",
        "moved": "camera moved by 3 cm, calibration left as it was",
        "recalibrated": "camera moved by 3 cm, calibrated again by the arm it sees",
    }
    rows = [
        (
            text,
            f"{row['successes']}/{row['episodes']}",
            "{:.0f} to {:.0f} %".format(*(100 * bound for bound in row["ci95"])),
            f"{row['calibration_off_median']['off_mm']:.1f} mm",
        )
        for cell, text in words.items()
        if (row := known.get(f"worth-{cell}")) is not None
    ]
    columns = ("the policy is given the cube's position", "solved", "95 %", "calibration is off by")
    return table(columns, rows) if rows else ""
