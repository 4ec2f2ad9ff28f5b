"""`robot-policy eval CHECKPOINT --task TASK`: success over seeds, with interval and report."""

import math
import shlex
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from robot_policy.cli.evaluation_summary import show_result
from robot_policy.cli.policy_source import check_source, open_policy
from robot_policy.cli.progress import progress_bar
from robot_policy.cli.rollout_recording import RolloutRecording
from robot_policy.cli.steering_options import SteeringOptions
from robot_policy.core.errors import ConfigError, SimulationError, UnknownNameError
from robot_policy.core.files import require_new_folder
from robot_policy.runtime.schedules.registry import SCHEDULES

if TYPE_CHECKING:
    from robot_policy.core.policy import LoadedPolicy
    from sim.episode_runner import Rollout
    from sim.replay import Video
    from sim.result import EvaluationResult


@dataclass(frozen=True)
class EvalConfig:
    """Evaluate a checkpoint in the twin: success, interval, report."""

    task: str
    """Task of the twin: lift, can, square, stack, recall or recall-count."""
    checkpoint: Positional[Path | None] = None
    """A training run, one of its checkpoints, or a policy folder."""
    server: str | None = None
    """In place of a checkpoint, the URL of a server that serve-policy runs: ws://host:port."""
    token_file: Path | None = None
    """File with the server's token; by default $ROBOT_POLICY_TOKEN, or
    ~/.config/robot-policy/token."""
    tls_ca: Path | None = None
    """Certificate (PEM) that signed the server's, for wss://."""
    output: Path | None = None
    """New folder for result.json, report.html and videos; without it nothing is kept."""
    episodes: int = 50
    """Number of starts, one per seed."""
    seed: int = 100_000
    """First seed; the default is far from the seeds that `collect` uses."""
    workers: int = 2
    """Processes that step environments; 0 steps them in this process."""
    batch: int | None = None
    """Requests that one call of the policy answers at most. By default 1 on a CPU, where a few
    at once take as long as one by one and a repeated evaluation repeats every step; on a GPU all
    that wait."""
    execute_steps: int | None = None
    """Actions of a chunk executed before planning again; by default 8, or as many as the policy
    predicts where that is fewer."""
    num_samples: int = 1
    """Candidates drawn per plan."""
    schedule: str = "receding"
    """Which action of which chunk is executed when: receding, async, ensemble, rtc or naive."""
    latency_ms: float = 0.0
    """Time from every observation to the moment its plan may be used, on the twin's own clock
    [ms]; the machine's speed has no part in it."""
    max_steps: int | None = None
    """Actions after which an episode counts as failed; by default the task's limit."""
    videos: int = 3
    """At most so many successes and so many failures are filmed; 0 films none."""
    feasible: Path | None = None
    """File that `safety fit` wrote: the arm stops far from the states in it."""
    json: Path | None = None
    """Also write the result to this file."""
    device: str = "cpu"
    """Where the policy runs: cpu, cuda or auto."""
    options: tuple[str, ...] = ()
    """How the policy draws, as key=value: sample_steps=5, for example."""
    record: Path | None = None
    """Dataset to write the rollouts to, failures included, with rewards and success flags, which
    critics learn from; appended to where it exists."""
    steering: Annotated[SteeringOptions, arg(name="")] = field(default_factory=SteeringOptions)
    """Steering by critics."""


def run(config: EvalConfig) -> int:
    """Evaluates, prints a summary, and writes what was asked for."""
    from sim.registry import TASKS

    if config.task not in TASKS:
        raise UnknownNameError.of("task", config.task, TASKS)
    _check(config)
    _check_steering(config)
    # The simulators need the other cores, and threads that wait for each other there are slower
    # than one.
    policy = open_policy(
        config.checkpoint,
        config.server,
        token_file=config.token_file,
        tls_ca=config.tls_ca,
        device=config.device,
        options=config.options,
        threads=1,
    )
    base = policy
    if config.steering.active:
        from robot_policy.steered import steer

        policy = steer(
            base,
            checkpoint=config.checkpoint,
            critics=config.steering.steer,
            config=config.steering.config,
            support=config.steering.support,
            resample=config.steering.resample,
            execute_steps=config.execute_steps,
            instruction=TASKS[config.task].instruction or None,
            device=config.device,
            threads=1,
        )
    result, rollouts = _evaluate(policy, config)
    report = None
    if config.json is not None:
        result.save(config.json)
    if config.output is not None:
        result.save(config.output / "result.json")
        report = _write_report(config, config.output, result, rollouts, robot=policy.spec.robot)
    show_result(result, report=report)
    return 0


def _check(config: EvalConfig) -> None:
    check_source(config.checkpoint, config.server)
    if config.output is not None:
        require_new_folder(config.output)
    if config.schedule not in SCHEDULES:
        raise UnknownNameError.of("schedule", config.schedule, SCHEDULES, where="--schedule")
    if not 0 <= config.latency_ms < math.inf:
        raise ConfigError(
            "out of range", where="--latency-ms", expected=">= 0", got=config.latency_ms
        )
    for name, least in (("episodes", 1), ("seed", 0), ("videos", 0), ("batch", 1)):
        value = getattr(config, name)
        if value is not None and value < least:
            raise ConfigError("too small", where=f"--{name}", expected=f">= {least}", got=value)


def _check_steering(config: EvalConfig) -> None:
    steering = config.steering
    if steering.active and config.num_samples != 1:
        raise ConfigError(
            "--candidates says how many a steered policy draws",
            where="--num-samples with steering",
            expected=1,
            got=config.num_samples,
        )
    for option, given in (("--support", steering.support), ("--resample", steering.resample)):
        if given and not steering.steer:
            raise ConfigError("nothing is steered", where=f"{option} without --steer")


def _evaluate(
    policy: "LoadedPolicy", config: EvalConfig
) -> "tuple[EvaluationResult, list[Rollout]]":
    from sim.evaluate import EvaluationConfig, evaluate

    rollouts: list[Rollout] = []
    solved = 0
    recording = None
    if config.record is not None:
        recording = RolloutRecording(
            config.record,
            task=config.task,
            policy=policy.spec,
            source=str(config.checkpoint or config.server),
        )
    device = policy.device_type

    with progress_bar(f"evaluating {config.task}", config.episodes) as advance:

        def ended(rollout: "Rollout") -> None:
            nonlocal solved
            if recording is not None:
                rollout = recording.add(rollout)
            rollouts.append(rollout)
            solved += rollout.result.success
            advance(f"{solved}/{len(rollouts)} solved")

        result = evaluate(
            policy,
            task=config.task,
            seeds=range(config.seed, config.seed + config.episodes),
            config=EvaluationConfig(
                execute_steps=config.execute_steps,
                num_samples=config.num_samples,
                workers=config.workers,
                max_batch=config.batch or (1 if device == "cpu" else None),
                max_steps=config.max_steps,
                record=recording is not None,
                feasible=config.feasible,
                steering=config.steering.to_json(),
                schedule=config.schedule,
                latency_s=1e-3 * config.latency_ms,
                device=device,
                checkpoint=str(config.checkpoint or config.server),
                command=_command(config),
            ),
            progress=ended,
        )
    return result, rollouts


def _write_report(
    config: EvalConfig,
    output: Path,
    result: "EvaluationResult",
    rollouts: "list[Rollout]",
    *,
    robot: str,
) -> Path:
    from sim.replay import choose_rollouts, record_videos
    from sim.report import write_report

    chosen = choose_rollouts(rollouts, each=config.videos)
    videos: list[Video] = []
    note = ""
    try:
        with progress_bar("filming", len(chosen)) as advance:
            videos = record_videos(
                chosen,
                output / "videos",
                task=config.task,
                robot=robot,
                progress=lambda: advance(""),
            )
    except (SimulationError, ConfigError) as error:
        # The figures stand without pictures; a machine without rendering still evaluates.
        note = f"No videos: {error}"
        print(note, file=sys.stderr)
    for video in videos:
        if not video.reproduced:
            print(f"warning: the replay of seed {video.seed} ended differently", file=sys.stderr)
    path = output / "report.html"
    write_report(path, result, videos=videos, video_note=note)
    return path


def _command(config: EvalConfig) -> str:
    source = ["--server", config.server] if config.server else [str(config.checkpoint)]
    words = ["robot-policy", "eval", *source, "--task", config.task]
    for name in ("episodes", "seed", "workers", "num_samples", "schedule", "latency_ms"):
        words += [f"--{name.replace('_', '-')}", str(getattr(config, name))]
    for name in ("execute_steps", "max_steps", "batch", "feasible"):
        if getattr(config, name) is not None:
            words += [f"--{name.replace('_', '-')}", str(getattr(config, name))]
    if config.options:
        words += ["--options", *config.options]
    words += config.steering.words()
    return shlex.join([*words, "--device", config.device])
