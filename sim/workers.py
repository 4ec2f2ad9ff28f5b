"""Worker processes that the harness and the collector share."""

import multiprocessing
import signal
import traceback
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Self

from robot_policy.core.errors import RobotPolicyError, SimulationError
from sim.threads import one_thread_each


@dataclass(frozen=True, slots=True)
class _Failure:
    """Why a worker cannot go on: bad input, or a fault of the program with its traceback."""

    error: RobotPolicyError | None
    trace: str


class WorkerPool:
    """Worker processes, ended when the block is left, however it is left.

    Workers are told apart by their connection. A worker is fed with `run` and speaks through
    `receive`; what it says is between it and the caller.

    Args:
        work: Runs in each process with its end of the pipe and `job`, and returns only by an
            exception. Must be importable.
        job: What all of them work on.
        count: How many, at least 1.
        name: Of a worker, for messages.
    """

    def __init__(
        self, work: Callable[[Connection, Any], None], job: Any, count: int, *, name: str
    ) -> None:
        context = multiprocessing.get_context("spawn")
        self._workers: dict[Connection, BaseProcess] = {}
        self._seeds: dict[Connection, int] = {}
        with one_thread_each(), _deaf_to_ctrl_c():
            for index in range(count):
                ours, theirs = context.Pipe()
                process = context.Process(
                    target=_serve, args=(work, theirs, job), name=f"{name} {index}", daemon=True
                )
                process.start()
                # Only the worker keeps this end open, so its death closes the pipe.
                theirs.close()
                self._workers[ours] = process

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the workers."""
        for connection, process in self._workers.items():
            connection.close()
            process.terminate()
        for process in self._workers.values():
            process.join(5)
            if process.is_alive():
                process.kill()
                process.join()
        self._workers.clear()

    @property
    def connections(self) -> list[Connection]:
        """All workers."""
        return list(self._workers)

    @property
    def processes(self) -> list[BaseProcess]:
        """Their processes."""
        return list(self._workers.values())

    def run(self, connection: Connection, seed: int) -> None:
        """Lets a worker run the episode of `seed`."""
        self._seeds[connection] = seed
        self.send(connection, seed)

    def send(self, connection: Connection, message: Any) -> None:
        """Sends a worker anything.

        Raises:
            SimulationError: If it died.
        """
        try:
            connection.send(message)
        except (BrokenPipeError, ConnectionResetError) as error:
            raise self._death(connection) from error

    def wait(
        self, connections: Iterable[Connection], *, timeout_s: float | None
    ) -> list[tuple[Connection, Any]]:
        """Waits until at least one of `connections` says something; returns what is there.

        Raises:
            RobotPolicyError: What a worker found wrong with its input.
            SimulationError: If a worker died.
            RuntimeError: If a worker failed otherwise; holds its traceback.
        """
        ready = wait(list(connections), timeout=timeout_s)
        return [(c, self.receive(c)) for c in ready if isinstance(c, Connection)]

    def receive(self, connection: Connection) -> Any:
        """Waits for one worker; raises as `wait`."""
        try:
            message = connection.recv()
        except (EOFError, ConnectionResetError) as error:
            raise self._death(connection) from error
        if isinstance(message, _Failure):
            if message.error is not None:
                raise message.error
            raise RuntimeError(f"{self._workers[connection].name} failed:\n{message.trace}")
        return message

    def _death(self, connection: Connection) -> SimulationError:
        process = self._workers[connection]
        process.join(5)
        seed = self._seeds.get(connection)
        killed = process.exitcode == -signal.SIGKILL
        return SimulationError(
            f"{process.name} died" + ("" if seed is None else f" in the episode of seed {seed}"),
            got=f"exit status {process.exitcode}",
            hint="-9 mostly means too little memory: use fewer workers" if killed else None,
        )


@contextmanager
def _deaf_to_ctrl_c() -> Generator[None]:
    """Starts processes that never see SIGINT, which a terminal sends to the whole group.

    The parent gets its own when the block ends, and ends its workers.
    """
    # Starting the first process starts multiprocessing's tracker, which unblocks SIGINT.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(work: Callable[[Connection, Any], None], connection: Connection, job: Any) -> None:
    try:
        work(connection, job)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # the parent is gone, or has what it wanted
    except RobotPolicyError as error:
        connection.send(_Failure(type(error)(str(error)), traceback.format_exc()))
    except Exception:
        connection.send(_Failure(None, traceback.format_exc()))
