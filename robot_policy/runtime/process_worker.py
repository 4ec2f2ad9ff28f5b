"""A worker in a process of its own: what it does cannot make the control loop late.

Only this project's own child is at the other end of the pipe, and nobody else can reach it.
"""

import multiprocessing
import os
import signal
import traceback
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

from robot_policy.core.errors import RobotPolicyError
from robot_policy.core.specs import PolicySpec
from robot_policy.runtime.background_worker import BackgroundWorker
from robot_policy.runtime.planning import Plan, Planner, PlanRequest
from robot_policy.runtime.shared_arrays import ArrayReceiver, ArraySender
from robot_policy.runtime.warm_up import warm_up
from robot_policy.runtime.worker import WorkerDiedError, WorkerState

type LoadPlanner = Callable[[], Planner]
"""Builds the planner where it will run; must be importable by its name."""

_END_S = 5.0


@dataclass(frozen=True, slots=True)
class _Ready:
    spec: PolicySpec
    plan_ns: int


@dataclass(frozen=True, slots=True)
class _Failure:
    """What went wrong in the child: bad input, or a fault of the program with its traceback."""

    error: RobotPolicyError | None
    line: str
    trace: str

    def as_exception(self) -> Exception:
        if self.error is not None:
            return self.error
        error = RuntimeError(self.line)
        error.add_note(self.trace)
        return error


class ProcessWorker(BackgroundWorker):
    """Loads a policy in a child process, warms it up, and plans there.

    A thread of this process carries requests and answers, so that the control thread neither
    waits for the pipe nor for the child.

    Args:
        load: Builds the planner in the child.

    Raises:
        RobotPolicyError: What `load` says is wrong.
        RuntimeError: If it failed otherwise; holds the traceback.
        WorkerDiedError: If the child ended before it was ready.
    """

    def __init__(self, load: LoadPlanner) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs, load), name="planner", daemon=True)
        with _deaf_to_ctrl_c():
            process.start()
        # Only the child keeps this end open, so its death closes the pipe.
        theirs.close()
        assert process.pid is not None
        self._sender = ArraySender(self._connection, process.pid)
        self._process: BaseProcess = process
        try:
            ready = self._receive()
        except BaseException:
            self._end()
            raise
        assert isinstance(ready, _Ready)
        self.plan_ns = ready.plan_ns
        """Duration of a plan after the warm-up [ns]."""
        super().__init__(self._exchange, spec=ready.spec, name="planner pipe")

    @property
    def pid(self) -> int | None:
        """Of the child."""
        return self._process.pid

    def state(self) -> WorkerState:
        """Says since when it is busy, and whether the child has died, also between two plans."""
        if not self._process.is_alive():
            self._bury(self._death())
        return super().state()

    def close(self) -> None:
        """Ends the child, whatever it is at."""
        self._end()
        super().close()

    def _exchange(self, request: PlanRequest) -> Plan:
        try:
            windows = request.windows
            bare = replace(request, windows=replace(windows, images={}))
            self._sender.send(bare, windows.images)
        except OSError as error:
            raise WorkerDiedError(self._death()) from error
        plan = self._receive()
        assert isinstance(plan, Plan)
        return plan

    def _receive(self) -> _Ready | Plan:
        try:
            message = self._connection.recv()
        except (EOFError, OSError) as error:
            raise WorkerDiedError(self._death()) from error
        if isinstance(message, _Failure):
            raise message.as_exception()
        return message

    def _death(self) -> str:
        self._process.join(_END_S)
        return f"the policy's process has ended with exit status {self._process.exitcode}"

    def _end(self) -> None:
        self._process.terminate()
        self._process.join(_END_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


@contextmanager
def _deaf_to_ctrl_c() -> Generator[None]:
    """Starts a process that never sees SIGINT, which a terminal sends to the whole group."""
    # Starting the first process starts multiprocessing's tracker, which unblocks SIGINT.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(connection: Connection, load: LoadPlanner) -> None:
    """Runs in the child until the pipe is closed."""
    os.nice(_NICE)
    try:
        planner = load()
        ready = _Ready(planner.spec, warm_up(planner))
    except Exception as error:
        connection.send(_failure(error))
        return
    try:
        connection.send(ready)
        requests = ArrayReceiver(connection)
        while True:
            bare, images = requests.receive()
            request = replace(bare, windows=replace(bare.windows, images=images))
            connection.send(_answer(planner, request))
    except (EOFError, OSError):
        return  # the parent is gone, or has what it wanted


def _answer(planner: Planner, request: PlanRequest) -> Plan | _Failure:
    try:
        return planner.plan(request)
    except Exception as error:  # the parent raises it
        return _failure(error)


_NICE = 5
"""The control loop comes first where cores are scarce."""


def _failure(error: Exception) -> _Failure:
    known = type(error)(str(error)) if isinstance(error, RobotPolicyError) else None
    return _Failure(known, f"{type(error).__name__}: {error}", traceback.format_exc())
