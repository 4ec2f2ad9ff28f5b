"""What is left of a recording that is killed at any moment, or whose disk is full."""

import argparse
import contextlib
import json
import os
import random
import resource
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import support_path  # noqa: F401  puts the tests' support on the path
from driven_arm import DrivenArm
from jobs import Job
from measure import ROOT, Target

from robot_policy.core.errors import RobotPolicyError
from robot_policy.core.files import read_json, write_json
from robot_policy.data.formats.lerobot_v3 import FORMAT
from robot_policy.data.validation.finding import Severity
from robot_policy.data.validation.validator import validate
from robot_policy.teleop.controls import Command, Controls
from robot_policy.teleop.disk import DiskWatch
from robot_policy.teleop.driving import Driving
from robot_policy.teleop.episodes import Episodes
from robot_policy.teleop.mapping import Mapping as HandMapping
from robot_policy.teleop.mapping import MappingConfig
from robot_policy.teleop.session import Session

FOLDER = ROOT / "runs" / "teleop"
KILLS = 50
_FULL = 8
_KINDS = {"kill": "kill -9 at 50 random moments", "full": "a full disk, 8 times"}


def jobs() -> list[Job]:
    """One per kind."""
    return [
        Job(
            f"crash-{kind}",
            ("benchmarks/teleop_crash.py", "--kind", kind, "--json", str(_result(kind))),
            _result(kind),
        )
        for kind in _KINDS
    ]


def rows() -> list[dict[str, Any]]:
    """What has been measured."""
    return [read_json(_result(kind)) for kind in _KINDS if _result(kind).exists()]


def targets(known: Mapping[str, Mapping[str, Any]]) -> list[Target]:
    """Nothing but the episode under way is lost, and the set validates."""
    found: list[Target] = []
    for kind, words in _KINDS.items():
        row = known.get(f"crash: {kind}")
        tries = {"kill": KILLS, "full": _FULL}[kind]
        found.append(
            Target(
                f"crash_{kind}",
                f"{words}: only the current episode is lost, the set opens and validates",
                None if row is None else row["whole"],
                f"of {tries}",
                row is not None and row["whole"] == tries,
                f"python benchmarks/teleop.py --only crash-{kind}",
            )
        )
    return found


def _result(kind: str) -> Path:
    return FOLDER / f"crash-{kind}.json"


def record(output: Path, notes: Path, *, seed: int, reserve_bytes: int) -> None:
    """Records episodes of an arm with a camera for ever; notes each one that is on the disk."""
    rng = random.Random(seed)
    arm = DrivenArm("agentview")
    episodes = Episodes(output, arm.spec, disk=DiskWatch(output, reserve_bytes=reserve_bytes))
    driving = Driving(arm.robot, HandMapping(arm.robot, MappingConfig()))
    session = Session(driving, episodes, task="push", reset=arm.reset)
    begun = episodes.saved
    forward = np.array([0.2, 0, 0, 0, 0, 0])
    while True:
        length = rng.randint(8, 25)
        for step in range(length + 2):
            commands: tuple[Command, ...] = ()
            if step == 0:
                commands = (Command.START,)
            elif step == length + 1:
                commands = (Command.UNDO,) if rng.random() < 0.1 else (Command.SUCCESS,)
            now_ns = time.monotonic_ns()
            way = forward if step % 2 else -forward
            driven = session.step(
                arm.observe()[0],
                Controls(now_ns, True, velocity=way),
                now_ns=now_ns,
                commands=commands,
            )
            if driven is not None:
                arm.send(driven.action)
            time.sleep(0.001)
        if episodes.recording:
            episodes.discard()
        if episodes.save_problem is not None:
            notes.write_text(
                json.dumps({"saved": episodes.saved, "problem": episodes.save_problem})
            )
            os._exit(3)
        if episodes.saved > begun:
            notes.write_text(json.dumps({"saved": episodes.saved}))


def is_whole(path: Path, *, at_least: int) -> str:
    """Returns what is wrong with a dataset; empty if nothing is."""
    if not FORMAT.detect(path):
        return "" if at_least <= 0 else f"no dataset, expected {at_least} episodes"
    try:
        count = sum(1 for _ in FORMAT.read(path))
        if count < at_least:
            return f"{count} episodes, expected at least {at_least}"
        report = validate(path)
        found = [f for f in report.findings if f.fault.severity == Severity.ERROR]
    except RobotPolicyError as error:
        return str(error)
    return "; ".join(str(f) for f in found)


def _looked_at(path: Path, verdict: Path, *, at_least: int) -> str:
    """`is_whole` in a process of its own: this one must stay without threads, as it forks."""
    pid = os.fork()
    if not pid:
        with contextlib.suppress(BaseException):
            verdict.write_text(is_whole(path, at_least=at_least))
            os._exit(0)
        os._exit(1)
    status = os.waitpid(pid, 0)[1]
    return verdict.read_text() if status == 0 else "cannot be looked at"


def _child(output: Path, notes: Path, *, seed: int, reserve_bytes: int, most_bytes: int) -> int:
    pid = os.fork()
    if pid:
        return pid
    with contextlib.suppress(BaseException):
        if most_bytes:
            # Beyond it a write fails, as on a disk that is full.
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))
        record(output, notes, seed=seed, reserve_bytes=reserve_bytes)
    os._exit(1)


def campaign(kind: str, count: int) -> dict[str, Any]:
    """Breaks recordings again and again, and looks at what is left each time.

    Outcomes are kept one by one; a campaign that was stopped goes on.
    """
    folder = FOLDER / f"crash-{kind}"
    folder.mkdir(parents=True, exist_ok=True)
    lines, notes = folder / "outcomes.jsonl", folder / "notes.json"
    before = lines.read_text().splitlines() if lines.exists() else []
    outcomes: list[dict[str, Any]] = [json.loads(line) for line in before]
    for number in range(len(outcomes), count):
        rng = random.Random(number)
        notes.unlink(missing_ok=True)
        output = folder / ("set" if kind == "kill" else f"set-{number}")
        most = rng.randint(6_000, 40_000) if kind == "full" else 0
        pid = _child(output, notes, seed=number, reserve_bytes=0, most_bytes=most)
        if kind == "kill":
            _wait_for(notes, rng.random() < 0.8)
            time.sleep(rng.random())
            os.kill(pid, signal.SIGKILL)
        _reap(pid, timeout_s=120.0)
        told = read_json(notes) if notes.exists() and notes.read_text() else {"saved": 0}
        # One that was taken back meanwhile may be gone already.
        trouble = _looked_at(output, folder / "verdict.txt", at_least=told["saved"] - 1)
        outcomes.append({"saved": told["saved"], "trouble": trouble})
        with lines.open("a") as file:
            file.write(json.dumps(outcomes[-1]) + "\n")
        print(number, told, trouble or "whole", flush=True)
    troubles = [outcome["trouble"] for outcome in outcomes if outcome["trouble"]]
    return {
        "cell": f"crash: {kind}",
        "tries": len(outcomes),
        "whole": len(outcomes) - len(troubles),
        "episodes_saved_before": [outcome["saved"] for outcome in outcomes],
        "troubles": troubles,
    }


def _wait_for(notes: Path, wanted: bool) -> None:
    """Mostly waits until an episode has been saved in this run, however slow the machine is."""
    deadline_s = time.monotonic() + 60.0
    while wanted and not notes.exists() and time.monotonic() < deadline_s:
        time.sleep(0.02)


def _reap(pid: int, *, timeout_s: float) -> None:
    deadline_s = time.monotonic() + timeout_s
    while os.waitpid(pid, os.WNOHANG)[0] == 0:
        if time.monotonic() > deadline_s:
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one campaign."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kind", choices=list(_KINDS), required=True)
    parser.add_argument("--count", type=int)
    parser.add_argument("--json", type=Path, required=True)
    given = parser.parse_args(arguments)
    count = given.count or {"kill": KILLS, "full": _FULL}[given.kind]
    row = campaign(given.kind, count)
    write_json(given.json, row)
    print(row)
    return 0


if __name__ == "__main__":
    sys.exit(main())
