"""`robot-policy eval CHECKPOINT --task TASK`: success over seeds, with interval and report."""

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tyro.conf import Positional

from robot_policy.cli.evaluation_summary import show_result
from robot_policy.cli.progress import progress_bar
from robot_policy.core.errors import ConfigError, SimulationError, UnknownNameError
from robot_policy.core.files import require_new_folder

if TYPE_CHECKING:
    from robot_policy.core.policy import Policy
    from sim.episode_runner import Rollout
    from sim.replay import Video
    from sim.result import EvaluationResult


@dataclass(frozen=True)
class EvalConfig:
    """Evaluate a checkpoint in the twin: success, interval, report."""

    checkpoint: Positional[Path]
    """A training run, one of its checkpoints, or a policy folder."""
    task: str
    """Task of the twin: lift, can, square or stack."""
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
    execute_steps: int = 8
    """Actions of a chunk executed before planning again."""
    num_samples: int = 1
    """Candidates drawn per plan."""
    max_steps: int | None = None
    """Actions after which an episode counts as failed; by default the task's limit."""
    videos: int = 3
    """At most so many successes and so many failures are filmed; 0 films none."""
    json: Path | None = None
    """Also write the result to this file."""
    device: str = "cpu"
    """Where the policy runs: cpu, cuda or auto."""


def run(config: EvalConfig) -> int:
    """Evaluates, prints a summary, and writes what was asked for."""
    from sim.registry import TASKS

    if config.task not in TASKS:
        raise UnknownNameError.of("task", config.task, TASKS)
    _check(config)
    from robot_policy.checkpoint import load_policy, resolve_device  # seconds of torch

    device = resolve_device(config.device).type
    policy = load_policy(config.checkpoint, device=device)
    with _one_thread():
        result, rollouts = _evaluate(policy, config, device)
    report = None
    if config.json is not None:
        result.save(config.json)
    if config.output is not None:
        result.save(config.output / "result.json")
        report = _write_report(config, config.output, result, rollouts, robot=policy.spec.robot)
    show_result(result, report=report)
    return 0


@contextmanager
def _one_thread() -> Iterator[None]:
    import torch

    # The simulators need the other cores, and threads that wait for each other there are slower
    # than one.
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _check(config: EvalConfig) -> None:
    if config.output is not None:
        require_new_folder(config.output)
    for name, least in (("episodes", 1), ("seed", 0), ("videos", 0), ("batch", 1)):
        value = getattr(config, name)
        if value is not None and value < least:
            raise ConfigError("too small", where=f"--{name}", expected=f">= {least}", got=value)


def _evaluate(
    policy: "Policy", config: EvalConfig, device: str
) -> "tuple[EvaluationResult, list[Rollout]]":
    from sim.evaluate import EvaluationConfig, evaluate

    rollouts: list[Rollout] = []
    solved = 0

    with progress_bar(f"evaluating {config.task}", config.episodes) as advance:

        def ended(rollout: "Rollout") -> None:
            nonlocal solved
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
                device=device,
                checkpoint=str(config.checkpoint),
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
    words = ["robot-policy", "eval", str(config.checkpoint), "--task", config.task]
    for name in ("episodes", "seed", "workers", "execute_steps", "num_samples"):
        words += [f"--{name.replace('_', '-')}", str(getattr(config, name))]
    for name in ("max_steps", "batch"):
        if getattr(config, name) is not None:
            words += [f"--{name.replace('_', '-')}", str(getattr(config, name))]
    return shlex.join([*words, "--device", config.device])
