"""`robot-policy eval` and `compare`, as a person starts them."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from robot_policy.checkpoint import save_policy
from robot_policy.cli.main import main
from robot_policy.core.observation import ACTION, ENVIRONMENT_STATE, STATE
from robot_policy.core.robot import load_robot
from robot_policy.policies.diffusion import Diffusion, DiffusionConfig
from robot_policy.training.pipeline import make_pipeline
from sim.envs.lift import TASK
from sim.result import EpisodeResult, EvaluationResult, Settings


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small diffusion policy with random weights: it moves, and solves nothing."""
    torch.manual_seed(0)
    source = load_robot("panda_twin").spec(environment_state=TASK.environment_state_spec)
    config = DiffusionConfig(channels=(16, 16), step_embedding=16, sample_steps=2)
    module = Diffusion.build(config, source)
    sizes = {STATE: source.state.size, ACTION: source.action.size}
    sizes[ENVIRONMENT_STATE] = TASK.environment_state_spec.size
    statistics = {
        key: {
            "min": np.full(size, -0.01),
            "max": np.full(size, 0.01),
            "mean": np.zeros(size),
            "std": np.ones(size),
        }
        for key, size in sizes.items()
    }
    folder = tmp_path_factory.mktemp("checkpoint") / "policy"
    save_policy(
        folder,
        name="diffusion",
        module=module,
        pipeline=make_pipeline(module.spec, statistics, states="min_max"),
        statistics=statistics,
        weights=module.state_dict(),
        training={},
    )
    return folder


def evaluate(checkpoint: Path, *options: str) -> int:
    return main(["eval", str(checkpoint), "--task", "lift", *options])


def test_an_evaluation_leaves_result_report_and_videos(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output, copy = tmp_path / "out", tmp_path / "result.json"
    options = ["--episodes", "2", "--seed", "300000", "--max-steps", "12", "--videos", "1"]
    assert evaluate(checkpoint, *options, "--output", str(output), "--json", str(copy)) == 0
    printed = capsys.readouterr().out
    assert "0/2" in printed
    assert "0.0% to 65.8%" in printed
    result = EvaluationResult.load(copy)
    assert EvaluationResult.load(output / "result.json") == result
    assert [e.seed for e in result.episodes] == [300000, 300001]
    assert {e.steps for e in result.episodes} == {12}
    assert all(len(e.policy_ms) == 2 for e in result.episodes)
    assert result.settings == Settings(
        execute_steps=8, num_samples=1, max_steps=12, workers=2, max_batch=1, device="cpu"
    )
    assert "--max-steps 12" in result.command
    assert (output / "videos/300000_failure.mp4").stat().st_size > 1000
    assert "300000_failure" not in (report := (output / "report.html").read_text())
    assert "data:video/mp4;base64," in report
    assert "ended differently" not in report


@pytest.mark.parametrize(
    ("option", "line"),
    [
        (["--schedule", "asynch"], "--schedule: unknown schedule 'asynch'"),
        (["--latency-ms", "-1"], "--latency-ms: out of range"),
        (["--latency-ms", "nan"], "--latency-ms: out of range"),
    ],
)
def test_schedules_and_latencies_that_are_none_are_refused(
    checkpoint: Path, capsys: pytest.CaptureFixture[str], option: list[str], line: str
) -> None:
    assert evaluate(checkpoint, *option) == 2
    assert line in capsys.readouterr().err


@pytest.mark.slow
def test_an_exported_policy_is_evaluated_without_torch(checkpoint: Path, tmp_path: Path) -> None:
    """Step for step the same as its original, in a process that never imports torch."""
    assert main(["export", str(checkpoint), "--output", str(tmp_path / "exported")]) == 0
    options = ["--episodes", "1", "--max-steps", "9", "--workers", "0"]
    script = f"""
import sys
from robot_policy.cli.main import main
for name in sys.argv[1:]:
    json = {str(tmp_path)!r} + "/" + name.rpartition("/")[2] + ".json"
    assert main(["eval", name, "--task", "lift", *{options!r}, "--json", json]) == 0
print("torch" in sys.modules)
"""
    printed = [
        subprocess.run(
            [sys.executable, "-c", script, str(path)],
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        ).stdout.splitlines()[-1]
        for path in (tmp_path / "exported", checkpoint)
    ]
    assert printed == ["False", "True"]
    exported, original = (
        EvaluationResult.load(tmp_path / f"{name}.json") for name in ("exported", checkpoint.name)
    )
    for a, b in zip(exported.episodes, original.episodes, strict=True):
        assert (a.seed, a.success, a.steps) == (b.seed, b.success, b.steps)
        assert a.return_ == pytest.approx(b.return_, abs=1e-3)


@pytest.mark.slow
def test_without_rendering_everything_but_the_videos_is_there(
    checkpoint: Path, tmp_path: Path
) -> None:
    run = subprocess.run(
        [
            *(sys.executable, "-m", "robot_policy.cli.main", "eval", str(checkpoint)),
            *("--task", "lift", "--episodes", "1", "--max-steps", "3", "--workers", "0"),
            *("--output", str(tmp_path / "out")),
        ],
        env=os.environ | {"MUJOCO_GL": "bogus"},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    (line,) = [line for line in run.stderr.splitlines() if line.startswith("No videos")]
    assert "'bogus'" in line
    assert "No videos" in (tmp_path / "out/report.html").read_text()
    assert EvaluationResult.load(tmp_path / "out/result.json").episodes[0].steps == 3


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--task", "lifd"], "unknown task 'lifd'"),
        (["--episodes", "0"], "--episodes: too small"),
        (["--batch", "0"], "--batch: too small"),
        (["--device", "tpu9"], "tpu9"),
        (["--execute-steps", "99", "--workers", "0"], "execute_steps"),
        (["--max-steps", "9999", "--workers", "0"], "max_steps"),
    ],
)
def test_bad_settings_are_one_line_and_status_2(
    checkpoint: Path, capsys: pytest.CaptureFixture[str], options: list[str], words: str
) -> None:
    assert evaluate(checkpoint, *options) == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert words in captured.err
    assert captured.out == ""


def test_a_missing_checkpoint_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["eval", "/nowhere/run", "--task", "lift"]) == 2
    assert "/nowhere/run: no such checkpoint" in capsys.readouterr().err


def test_an_output_folder_that_exists_is_left_alone(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "report.html").write_text("mine")
    assert evaluate(checkpoint, "--output", str(tmp_path)) == 2
    assert "exists" in capsys.readouterr().err
    assert [f.name for f in tmp_path.iterdir()] == ["report.html"]
    assert (tmp_path / "report.html").read_text() == "mine"


def test_ctrl_c_ends_the_workers_and_leaves_nothing(checkpoint: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "robot_policy.cli.main", "eval", str(checkpoint)]
    options = ["--task", "lift", "--episodes", "500", "--output", str(tmp_path / "out")]
    process = subprocess.Popen(
        [*command, *options], stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        wait_for_workers(process.pid, count=2)
        # The terminal sends it to everyone in the foreground.
        os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    assert (process.returncode, errors) == (130, "robot-policy: stopped\n")
    assert not (tmp_path / "out").exists()
    # One that is ending is listed for some milliseconds more, with its memory already gone.
    deadline = time.monotonic() + 5
    while group_members(process.pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert group_members(process.pid) == []


def wait_for_workers(group: int, *, count: int) -> None:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        simulators = [pid for pid in group_members(group) if has_mapped(pid, "mujoco")]
        if len([pid for pid in simulators if pid != group]) == count:
            return
        time.sleep(0.2)
    raise AssertionError("the workers did not start")


def group_members(group: int) -> list[int]:
    members = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue  # ended meanwhile
        if int(fields[2]) == group and fields[0] != "Z":
            members.append(int(stat.parent.name))
    return members


def has_mapped(pid: int, library: str) -> bool:
    try:
        return f"lib{library}" in Path(f"/proc/{pid}/maps").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def a_result(successes: int, *, task: str = "lift") -> EvaluationResult:
    return EvaluationResult(
        task=task,
        checkpoint=f"runs/[{successes}]",
        episodes=tuple(EpisodeResult(i, i < successes, 9, float(i < successes)) for i in range(50)),
        duration_s=1.0,
        settings=Settings(execute_steps=8, num_samples=1, max_steps=100),
    )


def test_compare_prints_and_writes_the_difference(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second, out = (tmp_path / name for name in ("a.json", "b.json", "out.json"))
    a_result(36).save(first)
    a_result(45).save(second)
    assert main(["compare", str(first), str(second), "--json", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "36/50" in printed
    assert "runs/[45]" in printed
    assert "+18.0 points" in printed
    assert "p = 0.00391" in printed
    data = json.loads(out.read_text())
    assert data["difference"] == pytest.approx(0.18)
    assert data["difference_ci95"][0] > 0
    assert data["only_second"] == 9


def test_compare_refuses_what_does_not_pair(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = tmp_path / "a.json", tmp_path / "b.json"
    a_result(3).save(first)
    replace(a_result(3), task="can").save(second)
    assert main(["compare", str(first), str(second)]) == 2
    assert "different tasks" in capsys.readouterr().err
    second.write_text("{")
    assert main(["compare", str(first), str(second)]) == 2
    assert "b.json: not a readable JSON file" in capsys.readouterr().err
