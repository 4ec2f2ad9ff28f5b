"""Measures every figure the foundation promises; writes benchmarks/results/foundation.json.

Each part is kept in runs/foundation/<part>.json as soon as it is measured, and is not measured
again unless --again is given, so the script can be stopped and run again.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

from measure import (
    RESULTS,
    ROOT,
    CommandFailedError,
    Target,
    load_targets,
    print_targets,
    robot_policy,
    run_measured,
    write_results,
)

from robot_policy.core.files import read_json, write_json

PARTS_FOLDER = ROOT / "runs" / "foundation"
_REPETITIONS = 3
type Part = tuple[list[Target], list[dict[str, Any]]]

_IMPORT = (
    "import time; start = time.perf_counter(); "
    "import robot_policy.core, robot_policy.runtime, robot_policy.data, sys; "
    "import robot_policy.runtime.agent, robot_policy.data.store, robot_policy.data.windows; "
    "print(time.perf_counter() - start, 'torch' in sys.modules)"
)


def imports() -> Part:
    """Import time of the control path, median of ten fresh processes."""
    times_s, torch_loaded = [], False
    for _ in range(10):
        output = subprocess.run(
            [sys.executable, "-c", _IMPORT], capture_output=True, text=True, check=True
        ).stdout.split()
        times_s.append(float(output[0]))
        torch_loaded |= output[1] == "True"
    seconds = median(times_s)
    return [
        _target("imports", "import_s", "under 0.5, together", seconds, "s", holds=seconds < 0.5),
        _target(
            "imports",
            "import_torch",
            "no torch in sys.modules (0)",
            float(torch_loaded),
            "modules",
            holds=not torch_loaded,
        ),
    ], [{"what": "imports", "times_s": times_s}]


def experts() -> Part:
    """Success of every scripted expert on 100 unseen seeds."""
    with _folder() as folder:
        path = folder / "experts.json"
        run_measured([sys.executable, "benchmarks/experts.py", "--json", path])
        return load_targets(path), read_json(path)["rows"]


def collect_speed() -> Part:
    """Collection with two workers against one; the start of the workers counts."""

    def steps_per_s(workers: int) -> float:
        with _folder() as folder:
            robot_policy(
                "collect", "lift", "--output", folder / "set", "--episodes", "200",
                "--workers", str(workers), "--json", folder / "collect.json",
            )  # fmt: skip
            return read_json(folder / "collect.json")["steps_per_s"]

    return _speedup("collect_speed", "collect_speedup", steps_per_s, workers=(1, 2))


def eval_speed() -> Part:
    """Evaluation with two workers against one process, on the demo's checkpoint."""
    run = ROOT / "runs" / "demo" / "train"
    if not run.is_dir():
        raise CommandFailedError("the demo has not run; measure the part `demo` first")

    def steps_per_s(workers: int) -> float:
        with _folder() as folder:
            robot_policy(
                "eval", run, "--task", "lift", "--episodes", "100", "--videos", "0",
                "--workers", str(workers), "--output", folder / "out", "--json", folder / "e.json",
            )  # fmt: skip
            return read_json(folder / "e.json")["env_steps_per_s"]

    return _speedup("eval_speed", "eval_speedup", steps_per_s, workers=(0, 2))


def demo() -> Part:
    """`make demo`, as a newcomer runs it."""
    run_measured(["make", "demo"])
    summary = read_json(ROOT / "runs" / "demo" / "summary.json")
    return load_targets(ROOT / "runs" / "demo" / "summary.json"), summary["rows"]


def tests() -> Part:
    """`make test`."""
    minutes = run_measured(["make", "test"]).seconds / 60
    return [_target("tests", "test_minutes", "under 8", minutes, "min", holds=minutes < 8)], []


def ci() -> Part:
    """`.ci/run` in a fresh clone, nothing done before."""
    with _folder() as folder:
        subprocess.run(["git", "clone", "-q", ROOT, folder / "clone"], check=True)
        start_s = time.perf_counter()
        run_measured(["bash", "-c", f"cd {folder / 'clone'} && .ci/run"], shown=".ci/run")
        minutes = (time.perf_counter() - start_s) / 60
    return [
        _target(
            "ci",
            "ci_minutes",
            "under 25, in a fresh clone with nothing typed before",
            minutes,
            "min",
            holds=minutes < 25,
        )
    ], []


PARTS: dict[str, Callable[[], Part]] = {
    "imports": imports,
    "experts": experts,
    "demo": demo,
    "collect_speed": collect_speed,
    "eval_speed": eval_speed,
    "tests": tests,
    "ci": ci,
}


def main() -> int:
    """Returns 1 if a part could not be measured; the others are kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=PARTS, help="measure these parts")
    parser.add_argument("--again", action="store_true", help="measure anew what is there")
    arguments = parser.parse_args()
    failed = False
    for name in arguments.only or PARTS:
        path = PARTS_FOLDER / f"{name}.json"
        if path.exists() and not arguments.again:
            continue
        try:
            targets, rows = PARTS[name]()
        except CommandFailedError as error:
            print(f"foundation: {name}: {error}", file=sys.stderr)
            failed = True
            continue
        write_json(path, {"targets": [asdict(t) for t in targets], "rows": rows})
    _write()
    return int(failed)


def _write() -> None:
    parts = [read_json(p) for n in PARTS if (p := PARTS_FOLDER / f"{n}.json").exists()]
    targets = [Target(**entry) for part in parts for entry in part["targets"]]
    rows = [row for part in parts for row in part["rows"]]
    write_results(RESULTS / "foundation.json", command="make bench", rows=rows, targets=targets)
    print_targets(targets)


def _target(
    part: str, name: str, wanted: str, measured: float, unit: str, *, holds: bool
) -> Target:
    command = f"python benchmarks/foundation.py --again --only {part}"
    return Target(name, wanted, round(measured, 3), unit, holds, command)


def _speedup(
    part: str, name: str, measure: Callable[[int], float], *, workers: tuple[int, int]
) -> Part:
    """Ratio of the medians of three runs each, in turns, so that a slow spell hits both."""
    rates: dict[int, list[float]] = {count: [] for count in workers}
    for _ in range(_REPETITIONS):
        for count in workers:
            rates[count].append(measure(count))
    ratio = median(rates[workers[1]]) / median(rates[workers[0]])
    wanted = "at least 1.6, two worker processes against one process"
    row = {"what": part, "steps_per_s_by_workers": {str(k): v for k, v in rates.items()}}
    return [_target(part, name, wanted, ratio, "times", holds=ratio >= 1.6)], [row]


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


if __name__ == "__main__":
    sys.exit(main())
