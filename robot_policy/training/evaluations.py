"""Evaluates checkpoints in the twin while training goes on, and keeps the best one."""

import json
import logging
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from robot_policy.core.errors import DataError
from robot_policy.core.files import read_json, replacing
from robot_policy.training import bound_process
from robot_policy.training.config import EvaluateConfig
from robot_policy.training.run_folder import RunFolder

_log = logging.getLogger(__name__)
_POLL_S = 0.5


@dataclass(frozen=True)
class Evaluation:
    """Outcome of one evaluation; a line of ``evaluations.jsonl``.

    Attributes:
        step: Gradient steps of the checkpoint.
        task: Task of the twin.
        seed: First seed.
        episodes: Number of starts.
        successes: How many were solved.
        success_rate: Share of them.
        ci95: Wilson 95 % interval of the share.
        duration_s: Wall time of the episodes [s].
    """

    step: int
    task: str
    seed: int
    episodes: int
    successes: int
    success_rate: float
    ci95: tuple[float, float]
    duration_s: float


def eval_command(config: EvaluateConfig, checkpoint: Path, result: Path) -> list[str]:
    """The program that evaluates `checkpoint` and writes `result`.

    A process of its own: training must not import the simulator, which may then crash or leak as
    it likes.
    """
    options = {
        "--task": config.task,
        "--episodes": config.episodes,
        "--seed": config.seed,
        "--workers": config.workers,
        "--device": config.device,
        "--json": result,
    }
    if config.execute_steps is not None:
        options["--execute-steps"] = config.execute_steps
    words = [str(word) for option in options.items() for word in option]
    return [sys.executable, "-m", "robot_policy.cli.main", "eval", str(checkpoint), *words]


class Evaluations:
    """A queue of checkpoints and the process that evaluates the first of them.

    Args:
        folder: Of the run.
        config: What to evaluate on.
        on_result: Told of every evaluation when it ends.
        command: Program that evaluates; `eval_command` unless a test has another.
    """

    def __init__(
        self,
        folder: RunFolder,
        config: EvaluateConfig,
        *,
        on_result: Callable[[Evaluation], None],
        command: Callable[[EvaluateConfig, Path, Path], Sequence[str]] = eval_command,
    ) -> None:
        self._folder = folder
        self._config = config
        self._on_result = on_result
        self._command = command
        self._waiting: list[int] = []
        self._process: subprocess.Popen[bytes] | None = None
        self._next_poll_s = 0.0
        self.done = read_evaluations(folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def needed(self) -> list[int]:
        """Steps whose checkpoints must not be removed yet."""
        return list(self._waiting)

    @property
    def best(self) -> Evaluation | None:
        """The one with most successes, of several the latest; None before the first."""
        return best_of([e for e in self._comparable() if self._folder.checkpoint(e.step).is_dir()])

    def catch_up(self, steps: Iterable[int]) -> None:
        """Queues the checkpoints of `steps` that are due and have not been evaluated."""
        known = {evaluation.step for evaluation in self._comparable()}
        for step in steps:
            if step not in known:
                self.submit(step)

    def submit(self, step: int) -> None:
        """Queues the checkpoint of `step` if it is due."""
        if self._config.due(step):
            self._waiting.append(step)

    def poll(self) -> None:
        """Takes in a finished evaluation and begins the next; costs nothing most of the time."""
        if not self._waiting or time.monotonic() < self._next_poll_s:
            return
        self._next_poll_s = time.monotonic() + _POLL_S
        if self._process is not None and self._process.poll() is not None:
            self._take_in(self._process.returncode)
        if self._process is None and self._waiting:
            self._start()

    def finish(self) -> None:
        """Waits for everything that is queued."""
        while self._waiting:
            self._next_poll_s = 0.0
            self.poll()
            if self._process is not None:
                self._process.wait()

    def close(self) -> None:
        """Ends an evaluation that is running; a resumed run begins it again."""
        if self._process is not None:
            bound_process.stop(self._process)
            self._process = None

    def _comparable(self) -> list[Evaluation]:
        """Leaves out what was evaluated on other starts, before a run was resumed."""
        config = self._config
        wanted = (config.task, config.seed, config.episodes)
        return [e for e in self.done if (e.task, e.seed, e.episodes) == wanted]

    def _path(self, suffix: str) -> Path:
        return self._folder.root / "evaluations" / f"{self._waiting[0]:06d}.{suffix}"

    def _start(self) -> None:
        result = self._path("json")
        result.parent.mkdir(exist_ok=True)
        result.unlink(missing_ok=True)
        checkpoint = self._folder.checkpoint(self._waiting[0])
        command = self._command(self._config, checkpoint, result)
        self._process = bound_process.start(command, log=self._path("log"))

    def _take_in(self, status: int) -> None:
        step, log = self._waiting[0], self._path("log")
        evaluation = None if status else self._read(step)
        self._process = None
        self._waiting.pop(0)
        if evaluation is None:
            _log.warning(
                "the evaluation of step %d failed with status %d, training goes on: %s (%s)",
                step, status, _last_line(log), log,
            )  # fmt: skip
            return
        self.done = [e for e in self.done if e.step != step] + [evaluation]
        _write_evaluations(self._folder, self.done)
        best = self.best
        if best is not None:
            self._folder.mark_best(best.step)
        self._on_result(evaluation)

    def _read(self, step: int) -> Evaluation | None:
        try:
            result = read_json(self._path("json"))
            return Evaluation(
                step=step,
                task=result["task"],
                seed=self._config.seed,
                episodes=len(result["episodes"]),
                successes=result["successes"],
                success_rate=result["success_rate"],
                ci95=tuple(result["ci95"]),
                duration_s=result["duration_s"],
            )
        except (DataError, KeyError, TypeError):
            return None


def best_of(evaluations: Sequence[Evaluation]) -> Evaluation | None:
    """The evaluation with the highest success rate, of several the latest; None of none."""
    return max(evaluations, key=lambda e: (e.success_rate, e.step), default=None)


def read_evaluations(folder: RunFolder) -> list[Evaluation]:
    """Reads ``evaluations.jsonl``; there is nothing in it before the first evaluation.

    Raises:
        DataError: If the file is damaged.
    """
    if not folder.evaluations.exists():
        return []
    try:
        lines = folder.evaluations.read_text().splitlines()
        return [_from_json(json.loads(line)) for line in lines if line]
    except (ValueError, TypeError, KeyError) as error:
        raise DataError("damaged", where=folder.evaluations, got=error) from error


def _from_json(data: dict[str, Any]) -> Evaluation:
    return Evaluation(**{**data, "ci95": tuple(data["ci95"])})


def _write_evaluations(folder: RunFolder, evaluations: Sequence[Evaluation]) -> None:
    text = "".join(f"{json.dumps(asdict(e))}\n" for e in evaluations)
    with replacing(folder.evaluations) as temporary:
        temporary.write_text(text)


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").split("\n") if log.exists() else []
    spoken = [line.strip() for line in lines if line.strip()]
    return spoken[-1] if spoken else "it said nothing"
