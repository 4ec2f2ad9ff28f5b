"""Runs a program that does not outlive its parent, however the parent ends.

``python -m robot_policy.training.bound_process PARENT PROGRAM ARGUMENTS…``
"""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

_PR_SET_PDEATHSIG = 1  # prctl(2)


def start(command: Sequence[str], *, log: Path) -> subprocess.Popen[bytes]:
    """Starts `command` in a session of its own, deaf to the Ctrl-C of this one.

    Args:
        command: Program and arguments.
        log: File for what it says.
    """
    program = [sys.executable, "-m", __name__, str(os.getpid()), *command]
    with log.open("wb") as output:
        return subprocess.Popen(
            program,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ends what `start` started, with everything it started itself."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is None:
            os.killpg(process.pid, number)
            try:
                process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                continue


def _main(arguments: Sequence[str]) -> None:
    parent, *command = arguments
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    # Only from here on is the parent's end noticed; it may have come before.
    if os.getppid() != int(parent):
        sys.exit(143)
    os.execvp(command[0], command)


if __name__ == "__main__":
    _main(sys.argv[1:])
