"""Processes that step environments and ask their parent for actions."""

import multiprocessing
import signal
import traceback
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Self

from robot_policy.core.errors import RobotPolicyError, SimulationError
from sim.episode_runner import EpisodeRunner, Job, Rollout
from sim.remote_policy import RemotePolicy, SampleAnswer, SampleRequest
from sim.threads import one_thread_each


@dataclass(frozen=True, slots=True)
class Ready:
    """A worker has built its environment.

    Attributes:
        max_steps: Of an episode there.
    """

    max_steps: int


@dataclass(frozen=True, slots=True)
class Failure:
    """A worker cannot go on.

    Attributes:
        error: If the input was bad.
        trace: Where it happened, for a fault of the program.
    """

    error: RobotPolicyError | None
    trace: str


type Message = Ready | SampleRequest | Rollout | Failure


class WorkerPool:
    """Worker processes, ended when the block is left, however it is left.

    Args:
        job: What each of them runs.
        count: How many, at least 1.
    """

    def __init__(self, job: Job, count: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._workers: dict[Connection, BaseProcess] = {}
        self._seeds: dict[Connection, int] = {}
        with one_thread_each(), _deaf_to_ctrl_c():
            for index in range(count):
                ours, theirs = context.Pipe()
                process = context.Process(
                    target=_work, args=(theirs, job), name=f"eval worker {index}", daemon=True
                )
                process.start()
                # Only the worker keeps this end open, so its death closes the pipe.
                theirs.close()
                self._workers[ours] = process

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for connection, process in self._workers.items():
            connection.close()
            process.terminate()
        for process in self._workers.values():
            process.join(5)
            if process.is_alive():
                process.kill()
                process.join()

    def receive(self, *, timeout_s: float | None) -> list[tuple[Connection, Message]]:
        """Waits for messages and returns what is there, in no particular order.

        Raises:
            RobotPolicyError: What a worker found wrong with its input.
            SimulationError: If a worker died.
            RuntimeError: If a worker failed otherwise; holds its traceback.
        """
        ready = wait(list(self._workers), timeout=timeout_s)
        return [(c, self._receive(c)) for c in ready if isinstance(c, Connection)]

    def run(self, connection: Connection, seed: int) -> None:
        """Lets a worker that is ready run an episode."""
        self._seeds[connection] = seed
        self._send(connection, seed)

    def answer(self, connections: Sequence[Connection], answers: Sequence[SampleAnswer]) -> None:
        """Hands each worker the answer to its request."""
        for connection, reply in zip(connections, answers, strict=True):
            self._send(connection, reply)

    def _send(self, connection: Connection, message: int | SampleAnswer) -> None:
        try:
            connection.send(message)
        except (BrokenPipeError, ConnectionResetError) as error:
            raise self._death(connection) from error

    def _receive(self, connection: Connection) -> Message:
        try:
            message: Message = connection.recv()
        except (EOFError, ConnectionResetError) as error:
            raise self._death(connection) from error
        if isinstance(message, Failure):
            if message.error is not None:
                raise message.error
            raise RuntimeError(f"{self._workers[connection].name} failed:\n{message.trace}")
        return message

    def _death(self, connection: Connection) -> SimulationError:
        process = self._workers[connection]
        process.join(5)
        seed = self._seeds.get(connection)
        return SimulationError(
            f"{process.name} died" + ("" if seed is None else f" in the episode of seed {seed}"),
            got=f"exit status {process.exitcode}",
            hint="-9 mostly means too little memory: use fewer workers"
            if process.exitcode == -signal.SIGKILL
            else None,
        )


@contextmanager
def _deaf_to_ctrl_c() -> Generator[None]:
    """Starts processes that never see SIGINT, which a terminal sends to the whole group.

    The parent gets its own when the block ends, and ends its workers.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _work(connection: Connection, job: Job) -> None:
    def exchange(request: SampleRequest) -> SampleAnswer:
        connection.send(request)
        return connection.recv()

    try:
        runner = EpisodeRunner(job, RemotePolicy(job.spec, exchange))
        connection.send(Ready(runner.max_steps))
        while True:
            connection.send(runner.run(connection.recv()))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # the parent is gone, or has what it wanted
    except RobotPolicyError as error:
        connection.send(Failure(type(error)(str(error)), traceback.format_exc()))
    except Exception:
        connection.send(Failure(None, traceback.format_exc()))
