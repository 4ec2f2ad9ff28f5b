"""Demonstrations of the scripted experts from parallel processes, in the order of their seeds."""

from collections.abc import Generator
from dataclasses import asdict, dataclass, replace
from multiprocessing.connection import Connection
from typing import Self

import numpy as np

from robot_policy.core.episode import Episode, Success
from robot_policy.core.errors import (
    ConfigError,
    SimulationError,
    UnknownNameError,
)
from robot_policy.core.robot import load_robot
from robot_policy.core.specs import PolicySpec
from robot_policy.runtime.translation import Translation
from sim.registry import EXPERTS, QUALITIES, TASKS, make_environment, make_expert
from sim.scripted.rollout import collect_episode
from sim.workers import WorkerPool

MIXED = "mixed"
# An expert that fails this often does not know the task; more seeds would not help.
_FAILURES_ALLOWED = 20
_AHEAD_PER_WORKER = 4


@dataclass(frozen=True, slots=True)
class CollectionSettings:
    """What decides the content of a collected dataset. Kept in the metadata of every episode.

    Attributes:
        task: Name of the task.
        seed: First seed; the following episodes take the following ones.
        noise: Standard deviation of the noise on commands, as a fraction of the largest one.
        quality: ``"expert"``, ``"sloppy"``, or ``"mixed"``: either, by the seed.
        keep_failures: Whether failed episodes are kept, or replaced by later seeds.
        robot: Name or path of the robot description.
    """

    task: str
    seed: int = 0
    noise: float = 0.1
    quality: str = "expert"
    keep_failures: bool = False
    robot: str = "panda_twin"

    def __post_init__(self) -> None:
        for kind, name, valid in (
            ("task", self.task, TASKS),
            ("task", self.task, EXPERTS),
            ("quality", self.quality, (*QUALITIES, MIXED)),
        ):
            if name not in valid:
                raise UnknownNameError.of(kind, name, valid)
        if not 0.0 <= self.noise < np.inf:
            raise ConfigError("out of range", where="noise", expected=">= 0", got=self.noise)
        if self.seed < 0:
            raise ConfigError("out of range", where="seed", expected=">= 0", got=self.seed)

    def quality_of(self, seed: int) -> str:
        """Quality of the expert in the episode of `seed`; in a mixture, half of them each."""
        if self.quality != MIXED:
            return self.quality
        return QUALITIES[int(np.random.default_rng([seed, 2]).integers(len(QUALITIES)))]


@dataclass(frozen=True, slots=True)
class _Job:
    settings: CollectionSettings
    cameras: tuple[str, ...]
    image_size: tuple[int, int] | None


class Collector:
    """Worker processes with one environment each; ended when the block is left.

    Args:
        settings: What is collected.
        workers: Processes, at least 1.
        cameras: Cameras whose images are recorded.
        image_size: (height, width) of the images [px]; as the robot description says if None.

    Raises:
        RobotPolicyError: If the input is bad; a camera is unknown, for example.
    """

    def __init__(
        self,
        settings: CollectionSettings,
        *,
        workers: int = 1,
        cameras: tuple[str, ...] = (),
        image_size: tuple[int, int] | None = None,
    ) -> None:
        if workers < 1:
            raise ConfigError("out of range", where="workers", expected=">= 1", got=workers)
        known = load_robot(settings.robot).cameras
        for camera in cameras:
            if camera not in known:
                raise UnknownNameError.of("camera", camera, known)
        self.settings = settings
        self.dropped = 0
        self._busy: dict[Connection, int] = {}
        job = _Job(settings, cameras, image_size)
        self.pool = WorkerPool(_work, job, workers, name="collection worker")
        self.spec = self._started()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the workers."""
        self.pool.close()

    def episodes(self, count: int, *, next_seed: int | None = None) -> Generator[Episode]:
        """Yields `count` episodes in the order of their seeds, whatever the number of workers.

        Args:
            count: Episodes to keep.
            next_seed: Where to go on; the first seed of the settings if None.

        Raises:
            SimulationError: If a worker died, or the expert hardly ever succeeds.
            RuntimeError: If a worker failed otherwise; holds its traceback.
        """
        seed = self.settings.seed if next_seed is None else next_seed
        ahead = _AHEAD_PER_WORKER * len(self.pool.connections)
        done: dict[int, Episode] = {}
        following, kept = seed, 0
        while kept < count:
            for connection in self._idle():
                promised = kept + len(self._busy) + sum(map(self._keeps, done.values()))
                if promised < count and following - seed < ahead:
                    self._busy[connection] = following
                    self.pool.run(connection, following)
                    following += 1
            done |= self._receive()
            while seed in done:
                episode = done.pop(seed)
                seed += 1
                if self._keeps(episode):
                    kept += 1
                    yield episode
                else:
                    self._drop(kept)

    def _keeps(self, episode: Episode) -> bool:
        return self.settings.keep_failures or episode.success == Success.YES

    def _drop(self, kept: int) -> None:
        self.dropped += 1
        if self.dropped > _FAILURES_ALLOWED + kept:
            raise SimulationError(
                "the expert fails too often",
                where=f"task {self.settings.task}",
                got=f"{self.dropped} failures, {kept} successes",
                hint="less --noise may help; --keep-failures keeps them",
            )

    def _idle(self) -> list[Connection]:
        return [c for c in self.pool.connections if c not in self._busy]

    def _receive(self) -> dict[int, Episode]:
        """Waits until at least one worker has finished; returns its episode by its seed."""
        finished = self.pool.wait(self._busy, timeout_s=None)
        return {self._busy.pop(connection): episode for connection, episode in finished}

    def _started(self) -> PolicySpec:
        """Waits until every worker has built its environment; returns what they record."""
        try:
            specs = [self.pool.receive(connection) for connection in self.pool.connections]
            return specs[0]
        except BaseException:
            self.close()
            raise


def _work(connection: Connection, job: _Job) -> None:
    settings = job.settings
    environment = make_environment(
        settings.task, cameras=job.cameras, robot=settings.robot, image_size=job.image_size
    )
    translation = Translation(environment.robot)
    connection.send(environment.spec)
    while True:
        seed = connection.recv()
        expert = make_expert(settings.task, quality=settings.quality_of(seed))
        episode = collect_episode(
            environment, expert, seed=seed, noise=settings.noise, translation=translation
        )
        metadata = {**episode.metadata, "collection": asdict(settings)}
        connection.send(replace(episode, metadata=metadata))
