"""Evaluates a policy over seeds: workers step environments, one process batches the policy."""

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from robot_policy.core.errors import ConfigError, UnknownNameError
from robot_policy.core.policy import Policy
from robot_policy.runtime.agent_config import AgentConfig
from robot_policy.runtime.chunking import resolve_execute_steps
from robot_policy.runtime.schedules.registry import SCHEDULES
from sim import provenance
from sim.episode_runner import EpisodeRunner, Job, Rollout
from sim.evaluation_worker import Ready, work
from sim.registry import TASKS
from sim.remote_policy import RemotePolicy, SampleRequest, answer_batch
from sim.result import EpisodeResult, EvaluationResult, Settings, Via
from sim.workers import WorkerPool

FIRST_SEED = 100_000
"""Evaluation starts here by default; collection starts at 0, so no start is seen in training."""


@dataclass(frozen=True, slots=True)
class EvaluationConfig:
    """How a policy is evaluated.

    Attributes:
        execute_steps: Ta, actions of a chunk executed before planning again; None takes the
            default for the policy's horizon.
        num_samples: N, candidates drawn per plan.
        workers: Processes that step environments; 0 steps them in this process.
        max_batch: Requests that one call of the policy answers at most; None takes all that
            wait. The last bits of what a network answers depend on the size of its batch, and
            contact magnifies them, so only with 1 does a repeated evaluation repeat every step.
        max_steps: Actions after which an episode counts as failed; None takes the task's limit.
        record: Whether rollouts carry the whole episode.
        feasible: File of demonstrated states, far from which the arm stops.
        steering: How the policy is steered, for the record.
        schedule: Which action of which chunk is executed when; a name of `SCHEDULES`.
        latency_s: Injected from every observation to the moment its plan may be used [s], see
            `Job`.
        device: Where the policy runs, for the record.
        checkpoint: Path or name of the policy, for the record.
        command: Command line that gives it again, for the record.
    """

    execute_steps: int | None = None
    num_samples: int = 1
    workers: int = 2
    max_batch: int | None = 1
    max_steps: int | None = None
    record: bool = False
    feasible: Path | None = None
    steering: Mapping[str, Any] = field(default_factory=dict[str, Any])
    schedule: str = "receding"
    latency_s: float = 0.0
    device: str = "cpu"
    checkpoint: str = ""
    command: str = ""


def evaluate(
    policy: Policy,
    *,
    task: str,
    seeds: Sequence[int],
    config: EvaluationConfig,
    progress: Callable[[Rollout], None] | None = None,
) -> EvaluationResult:
    """Runs one episode per seed.

    The start and the random draws of an episode come from its seed alone, so its outcome does
    not depend on which worker runs it, nor on what runs beside it as long as `max_batch` is 1.

    Args:
        policy: Must keep nothing between calls, because it serves all episodes at once.
        task: Name of the task.
        seeds: Distinct; at least one.
        config: How to run them.
        progress: Called after every episode, in the order in which they end.

    Returns:
        Outcomes in the order of `seeds`.

    Raises:
        RobotPolicyError: On bad input: unknown task, a policy that does not fit, settings out
            of range.
        SimulationError: If a worker died.
    """
    if task not in TASKS:
        raise UnknownNameError.of("task", task, TASKS)
    _check(config, seeds)
    execute_steps = resolve_execute_steps(config.execute_steps, horizon=policy.spec.horizon)
    agent = AgentConfig(
        execute_steps=execute_steps, num_samples=config.num_samples, schedule=config.schedule
    )
    SCHEDULES[config.schedule](policy.spec, agent)  # raises what no worker needs to be started for
    job = Job(
        task,
        policy.spec,
        agent,
        config.max_steps,
        config.record,
        latency_s=config.latency_s,
        feasible=config.feasible,
    )
    report = progress or (lambda _: None)
    if config.workers == 0:
        outcome = _run_here(policy, job, seeds, report)
    else:
        count = min(config.workers, len(seeds))
        with WorkerPool(work, job, count, name="eval worker") as pool:
            outcome = _Dispatcher(policy, pool, seeds, config.max_batch, report).run()
    return EvaluationResult(
        task=task,
        checkpoint=config.checkpoint,
        episodes=tuple(outcome.episodes[seed] for seed in seeds),
        duration_s=outcome.duration_s,
        settings=Settings(
            execute_steps=execute_steps,
            num_samples=config.num_samples,
            max_steps=outcome.max_steps,
            workers=config.workers,
            max_batch=config.max_batch,
            device=config.device,
            feasible=str(config.feasible or ""),
            steering=dict(config.steering),
            schedule=config.schedule,
            latency_ms=1e3 * config.latency_s,
        ),
        via=Via.IN_PROCESS,
        command=config.command,
        versions=provenance.versions(),
        machine=provenance.machine(),
    )


@dataclass(frozen=True, slots=True)
class _Outcome:
    episodes: dict[int, EpisodeResult]
    duration_s: float
    max_steps: int


def _check(config: EvaluationConfig, seeds: Sequence[int]) -> None:
    if not seeds or len(set(seeds)) != len(seeds) or min(seeds) < 0:
        raise ConfigError("need distinct seeds from 0", where="seeds", got=f"{len(seeds)} seeds")
    numbers = (("num_samples", 1), ("workers", 0), ("max_batch", 1), ("latency_s", 0))
    for label, least in numbers:
        value = getattr(config, label)
        if value is not None and value < least:
            raise ConfigError("too small", where=label, expected=f">= {least}", got=value)


def _run_here(
    policy: Policy, job: Job, seeds: Sequence[int], report: Callable[[Rollout], None]
) -> _Outcome:
    runner = EpisodeRunner(
        job, RemotePolicy(job.spec, lambda request: answer_batch(policy, [request])[0])
    )
    try:
        episodes: dict[int, EpisodeResult] = {}
        start = time.monotonic()
        for seed in seeds:
            rollout = runner.run(seed)
            episodes[seed] = rollout.result
            report(rollout)
        return _Outcome(episodes, time.monotonic() - start, runner.max_steps)
    finally:
        runner.close()


class _Dispatcher:
    """Hands out seeds and answers requests, as many at once as are waiting."""

    def __init__(
        self,
        policy: Policy,
        pool: WorkerPool,
        seeds: Sequence[int],
        max_batch: int | None,
        report: Callable[[Rollout], None],
    ) -> None:
        self._policy = policy
        self._pool = pool
        self._waiting = deque(seeds)
        self._wanted = len(seeds)
        self._max_batch = max_batch
        self._report = report
        self._requests: dict[Connection, SampleRequest] = {}
        self._episodes: dict[int, EpisodeResult] = {}
        self._start: float | None = None
        self._max_steps = 0

    def run(self) -> _Outcome:
        while len(self._episodes) < self._wanted:
            if not self._requests:
                self._take(timeout_s=None)
            # Whatever arrived while the policy was busy shares the next batch.
            while self._requests and self._take(timeout_s=0):
                pass
            self._answer()
        assert self._start is not None
        return _Outcome(self._episodes, time.monotonic() - self._start, self._max_steps)

    def _take(self, *, timeout_s: float | None) -> bool:
        messages = self._pool.wait(self._pool.connections, timeout_s=timeout_s)
        for connection, message in messages:
            if isinstance(message, SampleRequest):
                self._requests[connection] = message
                continue
            if isinstance(message, Ready):
                self._start = self._start or time.monotonic()
                self._max_steps = message.max_steps
            elif isinstance(message, Rollout):
                self._episodes[message.result.seed] = message.result
                self._report(message)
            if self._waiting:
                self._pool.run(connection, self._waiting.popleft())
        return bool(messages)

    def _answer(self) -> None:
        asking = list(self._requests)[: self._max_batch]
        if asking:
            requests = [self._requests.pop(connection) for connection in asking]
            answers = answer_batch(self._policy, requests)
            for connection, answer in zip(asking, answers, strict=True):
                self._pool.send(connection, answer)
