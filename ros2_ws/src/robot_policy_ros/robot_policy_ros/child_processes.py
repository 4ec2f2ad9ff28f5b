"""Nodes as child processes: started together, watched, and ended together."""

import re
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from robot_policy.core.errors import ConfigError, RobotPolicyError

_PATIENCE_S = 5.0
_POLL_S = 0.02
_KEPT_LINES = 50
_LOG_LINE = re.compile(r"\[(?P<level>ERROR|FATAL)\] \[[^]]*\] \[[^]]*\]: (?P<message>.*)")
_BAD_INPUT = 2


class ChildDiedError(RobotPolicyError):
    """A node ended that should have gone on."""


@dataclass(frozen=True, slots=True)
class _Child:
    process: subprocess.Popen[str]
    lines: deque[str]
    reader: threading.Thread


class ChildProcesses:
    """Runs commands until it is closed; a context manager.

    Ctrl-C on the terminal reaches only the parent, which then ends the children one after the
    other. What they say is kept, and shown if `verbose`.

    Args:
        verbose: Pass the children's output on to standard error.
    """

    def __init__(self, *, verbose: bool = False) -> None:
        self._verbose = verbose
        self._children: dict[str, _Child] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self, name: str, command: Sequence[str], *, environment: Mapping[str, str]) -> None:
        """Starts a child."""
        process = subprocess.Popen(
            command,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        lines: deque[str] = deque(maxlen=_KEPT_LINES)
        reader = threading.Thread(target=self._read, args=(process, lines), daemon=True)
        reader.start()
        self._children[name] = _Child(process, lines, reader)

    def pid(self, name: str) -> int:
        """Number of a child's process."""
        return self._children[name].process.pid

    def check(self) -> None:
        """Raises if a child has ended.

        Raises:
            ConfigError: If it refused what it was given; says what it said.
            ChildDiedError: If it ended for another reason.
        """
        for name, child in self._children.items():
            status = child.process.poll()
            if status is None:
                continue
            child.reader.join(timeout=_PATIENCE_S)
            if status == _BAD_INPUT:
                raise ConfigError(self.reason(name))
            raise ChildDiedError(
                f"ended with status {status}", where=name, hint=f"last it said: {self.reason(name)}"
            )

    def reason(self, name: str) -> str:
        """Returns the last error that a child logged, or else the last line it wrote."""
        lines = list(self._children[name].lines)
        return (_errors(lines) or lines or ["no message"])[-1].strip()

    def refusal(self, name: str) -> str:
        """Returns the error that a child logged before it refused a call.

        The answer to the call comes over ROS and the log over a pipe, so the answer may be first;
        the log is waited for.
        """
        deadline_s = time.monotonic() + _PATIENCE_S
        while not _errors(list(self._children[name].lines)) and time.monotonic() < deadline_s:
            time.sleep(_POLL_S)
        return self.reason(name)

    def close(self) -> None:
        """Ends all children: SIGINT first, so that nodes can hold the arm, then harder."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            running = [c.process for c in self._children.values() if c.process.poll() is None]
            for process in running:
                process.send_signal(number)
            for process in running:
                _wait(process)
        for child in self._children.values():
            child.reader.join(timeout=1.0)
            if child.process.stdout is not None:
                child.process.stdout.close()
        self._children.clear()

    def _read(self, process: subprocess.Popen[str], lines: deque[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line)
            if self._verbose:
                sys.stderr.write(line)


def _errors(lines: Sequence[str]) -> list[str]:
    return [match["message"] for line in lines if (match := _LOG_LINE.search(line))]


def _wait(process: subprocess.Popen[str]) -> None:
    try:
        process.wait(timeout=_PATIENCE_S)
    except subprocess.TimeoutExpired:
        return  # the caller sends the next, harder signal
