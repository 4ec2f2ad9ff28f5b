"""A policy server in a process of its own, and what can go wrong with it."""

import contextlib
import os
import secrets
import socket
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil
from fault_kinds import FaultKind
from fault_rig import PLAN_DEADLINE_S

from robot_policy.core.errors import RobotPolicyError
from robot_policy.serving.token import TOKEN_VARIABLE
from robot_policy_ros.child_processes import ChildProcesses

_START_S = 60.0


class ServerError(RobotPolicyError):
    """The server did not start."""


class FaultServer:
    """Serves a checkpoint on this machine; a context manager.

    Args:
        checkpoint: Of the policy.
    """

    def __init__(self, checkpoint: Path) -> None:
        self._checkpoint = checkpoint
        self._port = _free_port()
        self._processes = ChildProcesses()
        # The nodes that are started later find it there too.
        os.environ.setdefault(TOKEN_VARIABLE, secrets.token_urlsafe(32))

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with contextlib.suppress(KeyError, psutil.NoSuchProcess):
            self.process().resume()
        self._processes.close()

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"ws://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Starts it, and waits until it answers."""
        program = (sys.executable, "-m", "robot_policy.cli.main", "serve-policy")
        options = ("--port", str(self._port), "--threads", "1")
        command = [*program, str(self._checkpoint), *options]
        self._processes.start("server", command, environment=os.environ)
        end_s = time.monotonic() + _START_S
        while not self._answers():
            self._processes.check()
            if time.monotonic() > end_s:
                raise ServerError("does not answer", where=self.url)
            time.sleep(0.1)

    def process(self) -> psutil.Process:
        """The process."""
        return psutil.Process(self._processes.pid("server"))

    def kill(self) -> None:
        """Kills it without a warning."""
        process = self.process()
        process.kill()
        process.wait()
        self._processes.close()

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self._port)) == 0


def server_fault_kinds(server: FaultServer) -> list[FaultKind]:
    """Returns all kinds for a policy that runs on a server."""
    return [
        FaultKind(
            "server gone",
            lambda _: server.kill(),
            "no connection",
            lambda _: server.start(),
            kills=True,
        ),
        FaultKind(
            "server hangs",
            lambda _: server.process().suspend(),
            "plan takes longer",
            lambda _: server.process().resume(),
            notice_s=PLAN_DEADLINE_S,
            of_plan=True,
        ),
    ]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
