"""A benchmark of several parts: modules with jobs(), rows() and targets(known)."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from jobs import run_jobs, with_needs
from measure import RESULTS, print_targets, write_results

from robot_policy.core.files import read_json


def run_parts(
    name: str,
    parts: Sequence[Any],
    *,
    logs: Path,
    about: str | None,
    write_tables: Callable[[Path], None] = lambda _: None,
) -> int:
    """Runs the jobs of all parts, and writes ``benchmarks/results/<name>.json``.

    Rows measured before stay where there are no newer ones.

    Args:
        name: Of the benchmark.
        parts: The modules; `known`, which their targets are made from, is rows by cell.
        logs: Folder for the jobs' output.
        about: Shown by ``--help``.
        write_tables: Given the path of the results.

    Returns:
        1 if a job failed; the others are kept and written.
    """
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--only", nargs="+", help="only jobs whose name contains one of these")
    parser.add_argument("--at-once", type=int, default=2, help="jobs that run beside each other")
    parser.add_argument("--report", action="store_true", help="write what there is, run nothing")
    arguments = parser.parse_args()
    failed: list[str] = []
    if not arguments.report:
        listed = [job for part in parts for job in part.jobs()]
        chosen = with_needs(listed, arguments.only)
        failed = run_jobs(chosen, at_once=arguments.at_once, logs=logs)
        for job in failed:
            print(f"{name}: {job} failed or was left out; see {logs}", file=sys.stderr)
    path = RESULTS / f"{name}.json"
    before = read_json(path)["rows"] if path.exists() else []
    measured = [row for part in parts for row in part.rows()]
    known = {row["cell"]: row for row in [*before, *measured]}
    targets = [target for part in parts for target in part.targets(known)]
    rows = list(known.values())
    write_results(path, command=f"python benchmarks/{name}.py", rows=rows, targets=targets)
    write_tables(path)
    print_targets(targets)
    return int(bool(failed))
