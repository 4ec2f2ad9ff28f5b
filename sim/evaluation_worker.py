"""What a worker process of the harness does: runs episodes, asks its parent for actions."""

from dataclasses import dataclass
from multiprocessing.connection import Connection

from sim.episode_runner import EpisodeRunner, Job, Rollout
from sim.remote_policy import RemotePolicy, SampleAnswer, SampleRequest


@dataclass(frozen=True, slots=True)
class Ready:
    """A worker has built its environment.

    Attributes:
        max_steps: Of an episode there.
    """

    max_steps: int


type Message = Ready | SampleRequest | Rollout
"""What a worker says. It hears a seed to run, or the answer to its request."""


def work(connection: Connection, job: Job) -> None:
    """Runs the episode of every seed it is sent."""

    def exchange(request: SampleRequest) -> SampleAnswer:
        connection.send(request)
        return connection.recv()

    runner = EpisodeRunner(job, RemotePolicy(job.spec, exchange))
    connection.send(Ready(runner.max_steps))
    while True:
        connection.send(runner.run(connection.recv()))
