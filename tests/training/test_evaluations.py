"""Checkpoints are evaluated beside the training, and the best one is kept."""

import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from robot_policy.cli.main import main
from robot_policy.training import bound_process
from robot_policy.training.config import EvaluateConfig
from robot_policy.training.evaluations import (
    Evaluation,
    Evaluations,
    eval_command,
    read_evaluations,
)
from robot_policy.training.run_folder import RunFolder

CONFIG = EvaluateConfig(task="lift", every=2, episodes=4)

# Solves as many episodes as the file `rates` says for the step, or fails where it says -1.
FAKE = """
import json, sys
rates, step, result = sys.argv[1:]
solved = json.loads(open(rates).read())[step]
if solved < 0:
    print("some trace"); sys.exit("simulator: it fell over")
json.dump({"task": "lift", "episodes": [{}] * 4, "successes": solved, "success_rate": solved / 4,
           "ci95": [0, 1], "duration_s": 0.1}, open(result, "w"))
"""


def fake(rates: Path) -> Callable[[EvaluateConfig, Path, Path], Sequence[str]]:
    return lambda _, checkpoint, result: [
        sys.executable, "-c", FAKE, str(rates), str(int(checkpoint.name)), str(result)
    ]  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    folder = RunFolder(tmp_path / "run")
    for step in (2, 4, 6):
        folder.commit(step, lambda path: (path / "policy").mkdir())
    return folder


def evaluations(
    folder: RunFolder, rates: dict[str, int], seen: list[Evaluation] | None = None
) -> Evaluations:
    path = folder.root / "rates.json"
    path.write_text(json.dumps(rates))
    told = (lambda _: None) if seen is None else seen.append
    return Evaluations(folder, CONFIG, on_result=told, command=fake(path))


def test_the_best_is_kept_and_of_equals_the_later(folder: RunFolder) -> None:
    seen: list[Evaluation] = []
    with evaluations(folder, {"2": 3, "4": 3, "6": 1}, seen) as queue:
        for step in range(1, 7):
            queue.submit(step)
        assert queue.needed == [2, 4, 6]
        queue.finish()
        assert queue.needed == []
        assert queue.best == seen[1]
    assert [evaluation.step for evaluation in seen] == [2, 4, 6]
    assert folder.best.resolve() == folder.checkpoint(4).resolve()
    assert folder.last.resolve() == folder.checkpoint(6).resolve()
    assert read_evaluations(folder) == seen


def test_a_failure_is_one_line_and_the_next_is_evaluated(
    folder: RunFolder, caplog: pytest.LogCaptureFixture
) -> None:
    with evaluations(folder, {"2": -1, "4": 1}) as queue:
        queue.catch_up([2, 4])
        with caplog.at_level(logging.WARNING):
            queue.finish()
    assert [evaluation.step for evaluation in queue.done] == [4]
    (record,) = caplog.records
    assert "step 2 failed with status 1" in record.getMessage()
    assert "simulator: it fell over" in record.getMessage()
    assert "\n" not in record.getMessage()


def test_only_what_was_not_evaluated_is_caught_up(folder: RunFolder) -> None:
    with evaluations(folder, {"2": 1, "4": 2, "6": 0}) as first:
        first.catch_up([2])
        first.finish()
    with evaluations(folder, {"4": 2, "6": 0}) as second:
        second.catch_up(folder.steps())
        assert second.needed == [4, 6]
        second.finish()
        assert second.best is not None
        assert second.best.step == 4


def test_pruning_spares_best_last_and_needed(folder: RunFolder) -> None:
    for step in (8, 10):
        folder.commit(step, lambda path: (path / "policy").mkdir())
    folder.mark_best(2)
    folder.prune(1, needed=[6])
    assert folder.steps() == [2, 6, 10]


def test_training_does_not_wait(folder: RunFolder) -> None:
    slow = Evaluations(
        folder,
        CONFIG,
        on_result=lambda _: None,
        command=lambda *_: [sys.executable, "-c", "import time; time.sleep(60)"],
    )
    start_s = time.perf_counter()
    with slow:
        slow.submit(2)
        slow.poll()
        process = slow._process
        assert process is not None
        assert process.poll() is None
        slow.poll()
    assert time.perf_counter() - start_s < 20
    assert process.returncode == -signal.SIGTERM


def test_a_child_does_not_outlive_a_killed_parent(tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path\n"
        "from robot_policy.training import bound_process\n"
        "child = [sys.executable, '-c', 'import time; time.sleep(60)']\n"
        "print(bound_process.start(child, log=Path(sys.argv[1])).pid, flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "log")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        parent.kill()
    deadline_s = time.monotonic() + 20
    while Path(f"/proc/{child}").exists() and time.monotonic() < deadline_s:
        if Path(f"/proc/{child}/stat").read_text().split()[2] == "Z":
            break
        time.sleep(0.05)
    else:
        assert not Path(f"/proc/{child}").exists()


def test_a_child_whose_parent_is_gone_does_not_start() -> None:
    command = [sys.executable, "-m", bound_process.__name__, "1", sys.executable, "-c", "print(1)"]
    done = subprocess.run(command, capture_output=True, check=False, env=dict(os.environ))
    assert done.returncode == 143
    assert done.stdout == b""


def test_the_command_is_one_that_eval_understands(tmp_path: Path) -> None:
    import tyro

    from robot_policy.cli.eval import EvalConfig

    command = eval_command(CONFIG, tmp_path / "checkpoint", tmp_path / "result.json")
    assert command[1:4] == ["-m", "robot_policy.cli.main", "eval"]
    parsed = tyro.cli(EvalConfig, args=command[4:])
    assert parsed.checkpoint == tmp_path / "checkpoint"
    assert parsed.json == tmp_path / "result.json"
    assert (parsed.task, parsed.seed, parsed.episodes) == ("lift", 50_000, 4)
    assert parsed.execute_steps is None
    three = replace(CONFIG, execute_steps=3)
    command = eval_command(three, tmp_path / "checkpoint", tmp_path / "result.json")
    assert tyro.cli(EvalConfig, args=command[4:]).execute_steps == 3


@pytest.mark.slow
def test_training_with_the_twin(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("robosuite")
    output, summary = tmp_path / "run", tmp_path / "run.json"
    options = [
        "--policy.hidden", "8", "--batch-size", "16", "--steps", "4", "--no-environment-state",
        "--evaluate.task", "lift", "--evaluate.every", "2", "--evaluate.episodes", "1",
        "--evaluate.workers", "0", "--device", "cpu", "--json", str(summary),
    ]  # fmt: skip
    assert main(["train", "bc", "--dataset", str(dataset), "--output", str(output), *options]) == 0
    found = read_evaluations(RunFolder(output))
    assert [(e.step, e.seed, e.episodes) for e in found] == [(2, 50_000, 1), (4, 50_000, 1)]
    assert (output / "checkpoints" / "best").resolve().name == "000004"
    assert json.loads(summary.read_text())["best"]["step"] == 4
    assert "solved at step 4" in capsys.readouterr().out
