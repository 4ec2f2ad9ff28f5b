"""How the `calibrate` commands show and write what they found."""

from collections.abc import Sequence
from pathlib import Path

from calibration.report.page import write_report
from calibration.report.views import CameraViews
from calibration.result import CalibrationResult


def save_result(result: CalibrationResult, path: Path, *, json: Path | None) -> None:
    """Writes a result, also as JSON if asked, and prints its figures and notes."""
    result.save(path)
    if json is not None:
        result.save(json)
    print(f"{path}: {result.kind}")
    width = max((len(name) for name in result.figures), default=0)
    for name, value in result.figures.items():
        print(f"  {name:<{width}}  {value:.4g}")
    for note in result.notes:
        print(f"  - {note}")


def save_report(
    path: Path, result: CalibrationResult, *, views: Sequence[CameraViews] = ()
) -> None:
    """Writes the page of a result and says where."""
    write_report(path, result, views=views)
    print(f"{path}: the report")
