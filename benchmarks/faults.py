"""Breaks everything around a running policy node, again and again, and watches what it commands.

Every fault must end in hold within two control periods of when it can be noticed, be named in
/diagnostics, leave every command inside the limits, and let the node recover when it is asked to.
Outcomes are kept one by one in runs/ros2/faults.jsonl; the script goes on where it was stopped.
"""

import argparse
import json
import random
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from fault_kinds import FaultKind, fault_kinds
from fault_rig import FAULT_AFTER_S, Command, FaultRig
from fault_server import FaultServer, server_fault_kinds
from generated import table, write_generated
from measure import ROOT, Target
from ros2_results import merge

from robot_policy.core.errors import RobotPolicyError

OUTCOMES = ROOT / "runs" / "ros2" / "faults.jsonl"
REPORTS = ROOT / "runs" / "ros2" / "fault_reports"
COUNT = 300
COMMAND = f"python benchmarks/faults.py --checkpoint runs/demo/train --count {COUNT}"
_PERIODS = 2
_SHARE_OF_SERVER = 10
"""One fault of so many is one of a policy that runs on a server."""
_WATCH_S = 2.0
_STAMPS_S = 0.02
"""Of a hold's delay this much is the way through DDS and the relay [s]."""


@dataclass(frozen=True)
class Outcome:
    """What came of one fault.

    Attributes:
        index: Of the fault in the campaign.
        kind: What was broken.
        hold_ms: From when it could be noticed to the first hold [ms]; None where the arm need not
            hold, or never did.
        held: Whether the arm held in time and went on holding, where it must, or else whether it
            went on moving.
        named: Whether /diagnostics named it.
        latched: Whether it became a fault that stays.
        reported: Whether a fault report was written.
        recovered: Whether the arm moved again when the node was asked to recover.
        outside: Commands outside the limits.
        commands: Commands in all.
        trouble: What else went wrong.
    """

    index: int
    kind: str
    hold_ms: float | None
    held: bool
    named: bool
    latched: bool
    reported: bool
    recovered: bool
    outside: int
    commands: int
    trouble: str = ""

    @property
    def passed(self) -> bool:
        """Whether all that was promised was kept."""
        return self.held and self.named and self.recovered and not self.outside and not self.trouble


def report(outcomes: Sequence[Outcome]) -> None:
    """Writes rows, targets and the table of the docs."""
    found = rows(outcomes)
    merge(rows=found, targets=targets(outcomes), command=COMMAND)
    _write_table(found, ROOT / "docs" / "ros2.md")


def targets(outcomes: Sequence[Outcome]) -> list[Target]:
    """Returns the targets of the campaign."""
    total = len(outcomes)

    def share(keeps: Callable[[Outcome], bool]) -> float:
        return sum(map(keeps, outcomes))

    checks: list[tuple[str, str, Callable[[Outcome], bool]]] = [
        ("fault_hold", "every fault ends in hold within two control periods", lambda o: o.held),
        ("fault_limits", "no command outside the limits", lambda o: not o.outside),
        ("fault_named", "every fault is named in /diagnostics", lambda o: o.named),
        ("fault_recovery", "the node recovers when asked", lambda o: o.recovered),
    ]
    return [
        Target(
            name,
            f"{words}, at least {COUNT} faults",
            share(keeps),
            f"of {total}",
            total >= COUNT and share(keeps) == total,
            COMMAND,
        )
        for name, words, keeps in checks
    ]


def rows(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """Returns one row per kind."""
    by_kind: dict[str, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        by_kind[outcome.kind].append(outcome)
    return [_row(kind, found) for kind, found in sorted(by_kind.items())]


def _row(kind: str, found: Sequence[Outcome]) -> dict[str, Any]:
    delays = [o.hold_ms for o in found if o.hold_ms is not None]
    return {
        "cell": f"fault: {kind}",
        "faults": len(found),
        "passed": sum(o.passed for o in found),
        "held": sum(o.held for o in found),
        "named": sum(o.named for o in found),
        "latched": sum(o.latched for o in found),
        "recovered": sum(o.recovered for o in found),
        "commands": sum(o.commands for o in found),
        "outside_limits": sum(o.outside for o in found),
        "hold_ms_p50": round(float(np.median(delays)), 1) if delays else None,
        "hold_ms_max": round(max(delays), 1) if delays else None,
    }


def load(path: Path = OUTCOMES) -> list[Outcome]:
    """Reads the outcomes that there are."""
    if not path.exists():
        return []
    return [Outcome(**json.loads(line)) for line in path.read_text().splitlines()]


def _write_table(found: Sequence[dict[str, Any]], page: Path) -> None:
    columns = ("what is broken", "faults", "as it must", "hold p50 [ms]", "hold max [ms]")
    lines = [
        (
            row["cell"].removeprefix("fault: "),
            str(row["faults"]),
            str(row["passed"]),
            "goes on" if row["hold_ms_p50"] is None else f"{row['hold_ms_p50']:.0f}",
            "" if row["hold_ms_max"] is None else f"{row['hold_ms_max']:.0f}",
        )
        for row in found
    ]
    write_generated(page, "faults", [table(columns, lines)])


def main() -> int:
    """Returns 0 if every fault of the campaign ended as it must."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, help="of a policy for lift; see docs/ros2.md")
    parser.add_argument("--count", type=int, default=COUNT)
    parser.add_argument(
        "--only", help="kinds whose name contains this; their outcomes are not kept"
    )
    arguments = parser.parse_args()
    outcomes = load() if arguments.only is None else []
    if arguments.checkpoint is None:
        parser.error(
            "--checkpoint is needed: any policy for lift, a run of `make demo` for example"
        )
    checkpoint = arguments.checkpoint.resolve()
    last_here = arguments.count - arguments.count // _SHARE_OF_SERVER
    if sum(o.index < last_here for o in outcomes) < last_here:
        with FaultRig({"checkpoint": str(checkpoint)}, REPORTS) as rig:
            _run_faults(rig, fault_kinds(rig), outcomes, 0, last_here, only=arguments.only)
    if len(outcomes) < arguments.count:
        with (
            FaultServer(checkpoint) as server,
            FaultRig({"server": server.url}, REPORTS) as rig,
        ):
            kinds = server_fault_kinds(server)
            _run_faults(rig, kinds, outcomes, last_here, arguments.count, only=arguments.only)
    if arguments.only is None:
        report(outcomes)
    failed = [outcome for outcome in outcomes if not outcome.passed]
    print(f"{len(outcomes) - len(failed)} of {len(outcomes)} faults ended as they must")
    return int(bool(failed))


def _run_faults(
    rig: FaultRig,
    kinds: list[FaultKind],
    outcomes: list[Outcome],
    begin: int,
    end: int,
    *,
    only: str | None,
) -> None:
    """Runs the faults of numbers `begin` to `end` that have not been run yet."""
    chosen = [kind for kind in kinds if only is None or only in kind.name]
    done = {outcome.index for outcome in outcomes}
    for index in (i for i in range(begin, end if chosen else begin) if i not in done):
        outcome = run_fault(rig, chosen[index % len(chosen)], index)
        outcomes.append(outcome)
        _keep(outcome, only is None)


def _keep(outcome: Outcome, write: bool) -> None:
    hold = "-" if outcome.hold_ms is None else f"{outcome.hold_ms:.0f} ms"
    mark = "ok  " if outcome.passed else "FAIL"
    print(
        f"{mark} {outcome.index:3d} {outcome.kind:24s} hold {hold:>7s} {outcome.trouble}",
        flush=True,
    )
    if not outcome.passed:
        print(f"     {outcome}", flush=True)
    if write:
        OUTCOMES.parent.mkdir(parents=True, exist_ok=True)
        with OUTCOMES.open("a") as file:
            file.write(json.dumps(asdict(outcome)) + "\n")


def run_fault(rig: FaultRig, kind: FaultKind, index: int) -> Outcome:
    """Runs one episode with one fault in it."""
    rig.forget()
    reports = _reports()
    try:
        rig.begin(seed=index)
        time.sleep(random.Random(index).uniform(0.0, 0.5))
        before_s = time.monotonic()
        kind.apply(rig)
        if kind.kills:
            before_s = time.monotonic()
        # A call that is answered has been obeyed before it returns; a message is on its way.
        hold_ms, held = _watch(rig, kind, before_s)
        named = _named(rig, kind)
        latched = _latched(rig) if kind.holds else False
        reported = _reports() > reports
    except RobotPolicyError as error:
        kind.clear(rig)
        return _outcome(index, kind, rig, trouble=str(error))
    try:
        kind.clear(rig)
        rig.begin(seed=index)
        recovered, trouble = True, ""
    except RobotPolicyError as error:
        recovered, trouble = False, str(error)
    return _outcome(
        index,
        kind,
        rig,
        trouble=trouble,
        hold_ms=hold_ms,
        held=held,
        named=named,
        latched=latched,
        reported=reported,
        recovered=recovered,
    )


def _watch(rig: FaultRig, kind: FaultKind, start_s: float) -> tuple[float | None, bool]:
    """Returns the delay of the hold [ms], and whether all was as it must be."""
    time.sleep(kind.notice_s + _WATCH_S)
    noticed_s = (rig.heard.asks_s if kind.of_plan else start_s) + kind.notice_s
    after = rig.since(noticed_s)
    if not kind.holds:
        moving = sum(c.moves for c in after)
        return None, moving >= 0.8 * _WATCH_S / rig.robot.dt_s
    last_motion = max((c.at_s for c in rig.since(start_s) if c.moves), default=start_s)
    holds = [c.at_s for c in after if not c.moves and c.at_s > last_motion]
    if not holds:
        return None, False
    hold_ms = 1e3 * max(holds[0] - noticed_s, 0.0)
    return hold_ms, hold_ms <= 1e3 * (_PERIODS * rig.robot.dt_s + _STAMPS_S)


def _named(rig: FaultRig, kind: FaultKind) -> bool:
    if not kind.words:
        return True
    said = (f"{s['message']} {s}".lower() for s in rig.heard.statuses)
    return any(kind.words in words for words in said)


def _latched(rig: FaultRig) -> bool:
    end_s = time.monotonic() + FAULT_AFTER_S + 2.0
    while time.monotonic() < end_s:
        if rig.status.get("fault"):
            return True
        time.sleep(0.05)
    return False


def _reports() -> int:
    return len(list(REPORTS.glob("*"))) if REPORTS.exists() else 0


def _outcome(
    index: int,
    kind: FaultKind,
    rig: FaultRig,
    *,
    trouble: str,
    hold_ms: float | None = None,
    held: bool = False,
    named: bool = False,
    latched: bool = False,
    reported: bool = False,
    recovered: bool = False,
) -> Outcome:
    commands = list(rig.heard.commands)
    limits = rig.robot.command
    outside = sum(not _inside(c, limits.low[:-1], limits.high[:-1]) for c in commands)
    return Outcome(
        index,
        kind.name,
        None if hold_ms is None else round(hold_ms, 1),
        held,
        named,
        latched,
        reported,
        recovered,
        outside,
        len(commands),
        trouble,
    )


def _inside(command: Command, low: Sequence[float], high: Sequence[float]) -> bool:
    # Motions travel as rates and come back rounded.
    motion = np.array(command.motion)
    return bool(np.all(motion >= np.array(low) - 1e-6) and np.all(motion <= np.array(high) + 1e-6))


if __name__ == "__main__":
    sys.exit(main())
