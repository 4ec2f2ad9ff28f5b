"""Measures what is promised about calibration: results/calibration.json, and tables in the docs.

The truth comes from the twin. Stopped and run again it goes on: what is measured is not measured
again, unless its file in runs/calibration is removed.
"""

import argparse
import sys

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
from jobs import run_jobs, with_needs
from measure import RESULTS, ROOT, print_targets, write_results

from robot_policy.core.files import read_json

AGAIN = "python benchmarks/calibration.py"
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
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", help="only jobs whose name contains one of these")
    parser.add_argument("--at-once", type=int, default=2, help="jobs that run beside each other")
    parser.add_argument("--report", action="store_true", help="write what there is, run nothing")
    arguments = parser.parse_args()
    failed: list[str] = []
    if not arguments.report:
        listed = [job for part in PARTS for job in part.jobs()]
        chosen = with_needs(listed, arguments.only)
        failed = run_jobs(chosen, at_once=arguments.at_once, logs=LOGS)
        for name in failed:
            print(f"calibration: {name} failed or was left out; see {LOGS}", file=sys.stderr)
    _report()
    return int(bool(failed))


def _report() -> None:
    path = RESULTS / "calibration.json"
    before = read_json(path)["rows"] if path.exists() else []
    measured = [row for part in PARTS for row in part.rows()]
    known = {row["cell"]: row for row in [*before, *measured]}
    targets = [target for part in PARTS for target in part.targets(known)]
    write_results(path, command=AGAIN, rows=list(known.values()), targets=targets)
    calibration_tables.write_tables(path, ROOT / "docs" / "calibration.md")
    print_targets(targets)


if __name__ == "__main__":
    sys.exit(main())
