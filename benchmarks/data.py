"""Measures what is promised about data; writes benchmarks/results/data.json.

Stopped and run again it goes on: what is measured is not measured again, unless its file in
runs/data is removed.
"""

import argparse
import sys

import data_conversion
import data_foreign
import data_fuzz
import data_loader
import data_memory
import data_peers
from jobs import run_jobs, with_needs
from measure import RESULTS, print_targets, write_results

from robot_policy.core.files import read_json

AGAIN = "python benchmarks/data.py"
PARTS = (data_fuzz, data_conversion, data_peers, data_memory, data_loader, data_foreign)
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
        logs = data_loader.FOLDER / "logs"
        chosen = with_needs(listed, arguments.only)
        failed = run_jobs(chosen, at_once=arguments.at_once, logs=logs)
        for name in failed:
            print(f"data: {name} failed or was left out; see {logs}", file=sys.stderr)
    _report()
    return int(bool(failed))


def _report() -> None:
    path = RESULTS / "data.json"
    before = read_json(path)["rows"] if path.exists() else []
    measured = [row for part in PARTS for row in part.rows()]
    known = {row["cell"]: row for row in [*before, *measured]}
    targets = [target for part in PARTS for target in part.targets(known)]
    write_results(path, command=AGAIN, rows=list(known.values()), targets=targets)
    print_targets(targets)


if __name__ == "__main__":
    sys.exit(main())
