"""Measures what is promised about calibration: results/calibration.json, and tables in the docs.

The truth comes from the twin. Stopped and run again it goes on: what is measured is not measured
again, unless its file in runs/calibration is removed.
"""

import sys
from pathlib import Path

import calibration_path  # noqa: F401

# isort: split
import calibration_capture
import calibration_degenerate
import calibration_depth
import calibration_hand_eye
import calibration_intrinsics
import calibration_tables
import calibration_time_offset
import calibration_worth
from measure import ROOT
from parts import run_parts

LOGS = ROOT / "runs" / "calibration" / "logs"
PARTS = (
    calibration_worth,
    calibration_hand_eye,
    calibration_degenerate,
    calibration_intrinsics,
    calibration_time_offset,
    calibration_depth,
    calibration_capture,
)
"""Modules with jobs(), rows() and targets(known), `known` being rows by cell."""


def main() -> int:
    """Returns 1 if a job failed; the others are kept and written."""
    return run_parts("calibration", PARTS, logs=LOGS, about=__doc__, write_tables=_write_tables)


def _write_tables(results: Path) -> None:
    calibration_tables.write_tables(results, ROOT / "docs" / "calibration.md")


if __name__ == "__main__":
    sys.exit(main())
