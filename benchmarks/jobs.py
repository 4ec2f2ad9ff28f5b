"""Runs commands that depend on each other, some at once; stopped and run again, it goes on."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from measure import ROOT


@dataclass(frozen=True)
class Job:
    """One command.

    Attributes:
        name: Unique.
        arguments: Of `robot-policy`, or a script of this folder first.
        result: File that is there once the command has succeeded.
        needs: Names of the jobs that must have succeeded before.
        resume: Added to the arguments if `started` exists.
        started: What a run that was stopped leaves behind.
        threads_option: Name of the option that limits the threads of the command, if it has one.
        alone: Whether nothing may run beside it, because it measures time.
    """

    name: str
    arguments: tuple[str, ...]
    result: Path
    needs: tuple[str, ...] = ()
    resume: tuple[str, ...] = ()
    started: Path | None = None
    threads_option: str = ""
    alone: bool = False

    @property
    def done(self) -> bool:
        """Whether there is nothing left to do."""
        return self.result.exists()

    def command(self, threads: int) -> list[str]:
        """Returns the command line as it is run now."""
        if self.arguments[0].endswith(".py"):
            words = [sys.executable, *self.arguments]
        else:
            words = [str(Path(sys.executable).with_name("robot-policy")), *self.arguments]
        if self.threads_option:
            words += [self.threads_option, str(threads)]
        if self.started is not None and self.started.exists():
            words += self.resume
        return words


def with_needs(jobs: Sequence[Job], only: Sequence[str] | None) -> list[Job]:
    """Returns the jobs whose name contains one of `only`, and all that these need."""
    wanted = {job.name for job in jobs if only is None or any(part in job.name for part in only)}
    for job in reversed(jobs):  # needs come before what needs them
        if job.name in wanted:
            wanted.update(job.needs)
    return [job for job in jobs if job.name in wanted]


def run_jobs(jobs: Sequence[Job], *, at_once: int, logs: Path) -> list[str]:
    """Runs what is not done yet, in the order given as far as needs allow.

    A job that fails leaves out those that need it; the others run.

    Args:
        jobs: All of them.
        at_once: How many run beside each other; the cores are divided among them, unless
            OMP_NUM_THREADS says otherwise. On a machine that does other work, more threads than
            idle cores take many times as long.
        logs: Folder for their output.

    Returns:
        Names of the jobs that failed or were left out.
    """
    logs.mkdir(parents=True, exist_ok=True)
    threads = _threads(at_once)
    waiting = [job for job in jobs if not job.done]
    done = {job.name for job in jobs if job.done}
    running: dict[subprocess.Popen[bytes], tuple[Job, float]] = {}
    failed: list[str] = []
    try:
        while waiting or running:
            for job in _next(waiting, done, free=at_once - len(running), idle=not running):
                waiting.remove(job)
                running[_start(job, threads, logs)] = (job, time.monotonic())
            if not running:
                break
            time.sleep(0.5)
            for process in [p for p in running if p.poll() is not None]:
                job, start_s = running.pop(process)
                ok = process.returncode == 0 and job.done
                minutes = (time.monotonic() - start_s) / 60
                print(f"{'done' if ok else 'FAILED'} {job.name} ({minutes:.1f} min)", flush=True)
                (done.add if ok else failed.append)(job.name)
    finally:
        for process in running:
            process.send_signal(signal.SIGINT)  # a training leaves a checkpoint
        for process in running:
            process.wait()
    return failed + [job.name for job in waiting]


def _next(waiting: Sequence[Job], done: set[str], *, free: int, idle: bool) -> list[Job]:
    """Returns what starts now; a job that runs alone waits until nothing else is left to start."""
    ready = [job for job in waiting if done.issuperset(job.needs)]
    together = [job for job in ready if not job.alone]
    return together[:free] if together or not idle else ready[:1]


def _threads(at_once: int) -> int:
    """Of each job, for what it asks of the environment and what it takes as an option."""
    given = os.environ.get("OMP_NUM_THREADS", "")
    return int(given) if given.isdigit() else max(1, len(os.sched_getaffinity(0)) // at_once)


def _start(job: Job, threads: int, logs: Path) -> subprocess.Popen[bytes]:
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    job.result.parent.mkdir(parents=True, exist_ok=True)
    print(f"start {job.name}", flush=True)
    with (logs / f"{job.name}.log").open("ab") as log:
        return subprocess.Popen(
            job.command(threads), cwd=ROOT, env=environment, stdout=log, stderr=log
        )
