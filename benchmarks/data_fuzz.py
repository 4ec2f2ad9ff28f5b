"""Damages datasets of every format and reads them; its part of benchmarks/results/data.json.

Cases run one after the other in a process of their own: each is read, and one of `data info`, `data
convert` and `data validate` is run on it as the program runs it. A case that takes too long is a
hang, one that takes the process along a crash; the process is then started again. Some cases are
run as commands of the installed program.
"""

import argparse
import multiprocessing
import resource
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from fuzz_damage import DAMAGES
from fuzz_sets import FuzzSet, write_sets
from fuzz_trial import (
    WRONG,
    Case,
    Finding,
    Outcome,
    convert_words,
    damage,
    run_case,
    ways_of,
    whole,
)
from jobs import Job
from measure import RESULTS, ROOT, Target, load_targets, print_targets

from robot_policy.core.files import read_json, write_json

RESULT = ROOT / "runs" / "data" / "fuzz.json"
COMMAND = "python benchmarks/data_fuzz.py"
WANTED = 2000
_CASE_S = 60.0
_COMMAND_S = 120.0
_MEMORY_BYTES = 8 << 30
"""What the process may allocate: damage that asks for more is told by an error, and not by the
machine running out of memory."""


@dataclass
class Tally:
    """What came of the cases so far.

    Attributes:
        counts: (set, damage, way, outcome) to how often.
        cases: (set, damage) to how many.
        wrong: What must not be, one text each.
        hangs: Cases that took too long.
        crashes: Cases that ended the process.
        commands: Cases that ran as commands of the installed program.
        peak_mb: Largest memory of the process.
    """

    counts: Counter[tuple[str, str, str, str]] = field(default_factory=Counter)
    cases: Counter[tuple[str, str]] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    hangs: int = 0
    crashes: int = 0
    commands: int = 0
    peak_mb: float = 0.0

    def add(self, case: Case, told: str, findings: Sequence[Finding]) -> None:
        """Counts what came of a case."""
        self.cases[case.of.name, case.kind] += 1
        for finding in findings:
            self.counts[case.of.name, case.kind, finding.way, finding.outcome] += 1
            if finding.outcome in WRONG:
                self.tell(case, told, f"{finding.way}: {finding.outcome}: {finding.detail}")

    def tell(self, case: Case, told: str, what: str) -> None:
        """Keeps and prints what must not be."""
        text = f"{case.of.name} {case.kind} {case.number} ({told}): {what}"
        self.wrong.append(text)
        print(text, flush=True)


def fuzz(sets: Sequence[FuzzSet], count: int, *, seed: int, folder: Path) -> Tally:
    """Runs at least `count` cases, of every damage to every dataset as many."""
    each = -(-count // (len(sets) * len(DAMAGES)))
    cases = [
        Case(one, kind, number, seed) for number in range(each) for one in sets for kind in DAMAGES
    ]
    tally = Tally()
    while cases:
        cases = _run_until_it_ends(cases, tally, folder)
    return tally


def _run_until_it_ends(cases: list[Case], tally: Tally, folder: Path) -> list[Case]:
    """Runs cases in a process; returns those that are left when it has ended."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_work, args=(there, cases, folder), daemon=True)
    process.start()
    there.close()
    done = 0
    try:
        while done < len(cases):
            if not here.poll(_CASE_S):
                tally.hangs += 1
                tally.tell(cases[done], "", f"nothing for {_CASE_S:g} s")
                return cases[done + 1 :]
            try:
                told, findings, peak_mb = here.recv()
            except EOFError:
                process.join()
                tally.crashes += 1
                tally.tell(cases[done], "", f"the process ended with {process.exitcode}")
                return cases[done + 1 :]
            if findings:
                tally.add(cases[done], told, findings)
            tally.peak_mb = max(tally.peak_mb, peak_mb)
            done += 1
            if done % 100 == 0:
                print(f"{done} of {len(cases)} cases", flush=True)
    finally:
        process.kill()
        process.join()
    return []


def _work(connection: Connection, cases: Sequence[Case], folder: Path) -> None:
    import pandas  # noqa: F401  pyarrow imports it with its first table; not within a case

    folder = Path(tempfile.mkdtemp(dir=folder))
    wholes = {
        of.name: whole(of, folder) for of in {case.of.name: case.of for case in cases}.values()
    }
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    for case in cases:
        told, findings = run_case(case, wholes[case.of.name], folder=folder, ways=ways_of(case))
        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
        connection.send((told, findings, peak_mb))


def run_commands(
    sets: Sequence[FuzzSet], count: int, *, seed: int, folder: Path, tally: Tally
) -> None:
    """Runs `data info` and `data convert` of the installed program on `count` damaged datasets."""
    program = Path(sys.executable).with_name("robot-policy")
    kinds = list(DAMAGES)
    for number in range(count):
        of, kind = sets[number % len(sets)], kinds[number // len(sets) % len(kinds)]
        case = Case(of, kind, number, seed + 1)
        with tempfile.TemporaryDirectory(dir=folder) as temporary:
            there = damage(case, Path(temporary))
            if there is None:
                continue
            path, told = there
            for words in (["info", str(path)], convert_words(of, path, Path(temporary) / "x")):
                tally.commands += 1
                try:
                    run = subprocess.run(
                        [program, "data", *words],
                        capture_output=True,
                        text=True,
                        errors="replace",
                        timeout=_COMMAND_S,
                        check=False,
                    )
                except subprocess.TimeoutExpired:
                    tally.hangs += 1
                    tally.tell(case, told, f"{words[0]}: nothing for {_COMMAND_S:g} s")
                    continue
                lines = run.stderr.splitlines()
                clear = [line for line in lines if line.startswith("robot-policy: ")]
                right = run.returncode == 0 or (run.returncode == 2 and len(clear) == 1)
                if run.returncode < 0:
                    tally.crashes += 1
                if not right or "Traceback" in run.stderr:
                    tally.tell(case, told, f"{words[0]}: status {run.returncode}: {run.stderr}")


def rows_of(tally: Tally, *, seed: int) -> list[dict[str, Any]]:
    """A row for every damage to every dataset."""
    made: list[dict[str, Any]] = []
    for (name, kind), cases in sorted(tally.cases.items()):
        outcomes: dict[str, dict[str, int]] = {}
        for (of, how, way, outcome), count in sorted(tally.counts.items()):
            if (of, how) == (name, kind):
                outcomes.setdefault(way, {})[outcome] = count
        made.append(
            {"cell": f"fuzz/{name}/{kind}", "seed": seed, "cases": cases, "outcomes": outcomes}
        )
    made.append(
        {
            "cell": "fuzz/all",
            "seed": seed,
            "cases": sum(tally.cases.values()),
            "commands": tally.commands,
            "hangs": tally.hangs,
            "crashes": tally.crashes,
            "peak_mb": round(tally.peak_mb),
            "wrong": tally.wrong[:50],
        }
    )
    return made


def targets_of(tally: Tally, *, command: str) -> list[Target]:
    """What was promised of damaged datasets."""
    cases = sum(tally.cases.values())
    outcomes = Counter[str]()
    for (_, _, _, outcome), count in tally.counts.items():
        outcomes[outcome] += count
    # What commands of the program did wrong is told in words only; it is all one to the target.
    told = len(tally.wrong) - tally.hangs
    silent = outcomes[Outcome.LOST] + outcomes[Outcome.ALTERED]

    def target(name: str, wanted: str, measured: float, unit: str, *, holds: bool) -> Target:
        return Target(f"fuzz_{name}", wanted, measured, unit, holds, command)

    return [
        target(
            "cases",
            f"at least {WANTED} truncated, flipped, renamed, reordered and edited datasets, of "
            "every format",
            cases,
            "cases",
            holds=cases >= WANTED,
        ),
        target(
            "tracebacks",
            "0: one clear line and status 2",
            told - silent,
            "cases",
            holds=told == silent,
        ),
        target("hangs", "0 hangs", tally.hangs, "cases", holds=tally.hangs == 0),
        target("silent_losses", "0 lost or altered in silence", silent, "cases", holds=silent == 0),
    ]


def jobs() -> list[Job]:
    """The fuzzer."""
    return [Job("fuzz", ("benchmarks/data_fuzz.py",), RESULT)]


def rows() -> list[dict[str, Any]]:
    """What is measured so far."""
    return read_json(RESULT)["rows"] if RESULT.exists() else []


def targets(known: dict[str, dict[str, Any]]) -> list[Target]:
    """Of the last run."""
    if RESULT.exists():
        return [Target(**entry) for entry in read_json(RESULT)["targets"]]
    before = RESULTS / "data.json"  # of a run elsewhere
    return [t for t in load_targets(before) if t.id.startswith("fuzz_")] if before.exists() else []


def main() -> int:
    """Returns 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=2400, help="cases, at least")
    parser.add_argument("--commands", type=int, default=60, help="of them as commands, too")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="only datasets whose name contains this")
    parser.add_argument("--output", type=Path, default=RESULT)
    arguments = parser.parse_args()
    memory = Path("/dev/shm")  # where there is one, nothing waits for a disk
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as temporary:
        folder = Path(temporary)
        made = write_sets(folder / "sets", peers=arguments.only in "lerobot_theirs")
        sets = [of for of in made if arguments.only in of.name]
        tally = fuzz(sets, arguments.count, seed=arguments.seed, folder=folder)
        run_commands(sets, arguments.commands, seed=arguments.seed, folder=folder, tally=tally)
    judged = targets_of(tally, command=f"{COMMAND} --count {arguments.count}")
    write_json(
        arguments.output,
        {"rows": rows_of(tally, seed=arguments.seed), "targets": [asdict(t) for t in judged]},
    )
    print_targets(judged)
    return int(not all(target.holds for target in judged))


if __name__ == "__main__":
    sys.exit(main())
