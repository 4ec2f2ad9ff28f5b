"""What the benchmark scripts share: measured commands, targets, and the file they go into."""

import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from robot_policy.core.files import read_json, write_json
from sim.provenance import machine, versions

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
_POLL_S = 0.25


@dataclass(frozen=True)
class Measured:
    """One command that was run.

    Attributes:
        command: As a person would type it.
        seconds: Wall-clock time.
        peak_gb: Largest memory of the command and its children together [GB], proportional set
            size, polled four times a second.
    """

    command: str
    seconds: float
    peak_gb: float


@dataclass(frozen=True)
class Target:
    """One figure that was asked for.

    Attributes:
        id: Short name.
        target: What was asked for, in words.
        measured: Figure; None where it was not measured.
        unit: Of the figure.
        holds: Whether the target is met.
        command: Gives the figure again.
    """

    id: str
    target: str
    measured: float | None
    unit: str
    holds: bool
    command: str


class CommandFailedError(RuntimeError):
    """A measured command did not exit with 0."""


def run_measured(arguments: Sequence[str | Path], *, shown: str | None = None) -> Measured:
    """Runs a command, output on the terminal, and measures time and memory of its process tree.

    Raises:
        CommandFailedError: If it exits with another status than 0.
    """
    command = [str(argument) for argument in arguments]
    shown = shown or shlex.join(command)
    print(f"\n$ {shown}", flush=True)
    start_s = time.perf_counter()
    process = subprocess.Popen(command, cwd=ROOT)
    peak = [0.0]
    watcher = threading.Thread(target=_watch, args=(process.pid, peak), daemon=True)
    watcher.start()
    try:
        status = process.wait()
    except KeyboardInterrupt:
        process.wait()
        raise
    seconds = time.perf_counter() - start_s
    watcher.join()
    if status:
        raise CommandFailedError(f"status {status}: {shown}")
    return Measured(shown, round(seconds, 1), round(peak[0] / 1e9, 2))


def robot_policy(*arguments: str | Path) -> Measured:
    """Runs the program of this environment."""
    program = Path(sys.executable).with_name("robot-policy")
    shown = shlex.join(["robot-policy", *map(str, arguments)])
    return run_measured([program, *arguments], shown=shown)


def _watch(pid: int, peak: list[float]) -> None:
    while True:
        try:
            process = psutil.Process(pid)
            tree = [process, *process.children(recursive=True)]
            if process.status() == psutil.STATUS_ZOMBIE:
                return
        except psutil.NoSuchProcess:
            return
        peak[0] = max(peak[0], sum(map(_memory, tree)))
        time.sleep(_POLL_S)


def _memory(process: psutil.Process) -> float:
    try:
        return process.memory_full_info().pss
    except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
        return 0.0


def write_results(
    path: Path, *, command: str, rows: Sequence[dict[str, Any]], targets: Sequence[Target]
) -> None:
    """Writes a results file: machine, versions, commit, command, rows, targets."""
    write_json(
        path,
        {
            "machine": machine(),
            "versions": versions(),
            "commit": commit(),
            "command": command,
            "rows": list(rows),
            "targets": [asdict(target) for target in targets],
        },
    )


def commit() -> str:
    """Returns the commit that is checked out, marked if the tree differs from it."""
    run = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=12"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return run.stdout.strip() or "unknown"


def print_targets(targets: Sequence[Target]) -> None:
    """Prints a table: those that do not hold, those that are not measured, those that hold."""
    from rich.console import Console
    from rich.table import Table

    table = Table("", "id", "target", "measured", "unit")
    marks = ("[red]misses", "[yellow]not measured", "[green]holds")
    for target in sorted(targets, key=_state):
        measured = "-" if target.measured is None else f"{target.measured:g}"
        table.add_row(marks[_state(target)], target.id, target.target, measured, target.unit)
    Console().print(table)


def _state(target: Target) -> int:
    """Which mark it gets."""
    return 2 if target.holds else int(target.measured is None)


def load_targets(path: Path) -> list[Target]:
    """Reads the targets of a results file."""
    return [Target(**entry) for entry in read_json(path)["targets"]]
