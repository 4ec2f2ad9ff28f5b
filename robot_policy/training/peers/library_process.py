"""Runs another library's own program, with its output in a file."""

import os
import subprocess
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from robot_policy.core.errors import RobotPolicyError


def run_program(
    command: Sequence[str],
    *,
    log: Path,
    environment: Mapping[str, str],
    on_line: Callable[[str], None],
) -> None:
    """Runs `command` to its end; it is ended with us if we are.

    Args:
        command: Program and arguments.
        log: Gets all its output, and is its working folder's file.
        environment: Variables in addition to ours.
        on_line: Is told every line of output.

    Raises:
        RobotPolicyError: If it fails; names the log and its last line.
    """
    last = deque[str](maxlen=1)
    with (
        log.open("w") as file,
        subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=log.parent,
            env={**os.environ, **environment},
            text=True,
            errors="replace",
        ) as process,
    ):
        try:
            for line in process.stdout or ():
                file.write(line)
                file.flush()
                if line.strip():
                    last.append(line.strip())
                on_line(line)
            status = process.wait()
        finally:
            if process.poll() is None:
                process.terminate()
    if status:
        raise RobotPolicyError(
            "the library's training failed", where=log, got=last[0] if last else f"status {status}"
        )
