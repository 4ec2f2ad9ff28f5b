"""`train --dry-run`, `train --seeds`, and a run that is told to stop."""

import json
import os
import signal
from pathlib import Path

import pytest

from robot_policy.cli.main import main
from robot_policy.core.errors import RobotPolicyError
from robot_policy.policies.registry import POLICIES
from robot_policy.training.loop import Trainer

SMALL = ["--policy.hidden", "8", "--batch-size", "16", "--no-tensorboard", "--device", "cpu"]


def train(dataset: Path, output: Path, *options: str) -> int:
    folders = ["--dataset", str(dataset), "--output", str(output)]
    return main(["train", "bc", *folders, *SMALL, *options])


def test_a_dry_run_measures_and_writes_nothing(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    measured = tmp_path / "measured.json"
    assert train(dataset, tmp_path / "run", "--dry-run", "--json", str(measured)) == 0
    assert not (tmp_path / "run").exists()
    found = json.loads(measured.read_text())
    assert found["parameters"] == sum(found["modules"].values())
    assert found["modules"].keys() == {"net"}
    assert found["steps"] == 3000
    assert found["duration_s"] >= found["steps"] / found["steps_per_s"]
    assert found["peak_memory_bytes"] > 2**20
    shown = capsys.readouterr().out
    assert f"{found['parameters']:,}" in shown
    assert "3000 steps, about" in shown


def test_several_seeds_are_separate_runs_with_one_summary(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output, summary = tmp_path / "runs", tmp_path / "summary.json"
    options = ["--steps", "4", "--json", str(summary)]
    assert train(dataset, output, "--seeds", "0", "3", *options) == 0
    found = json.loads(summary.read_text())
    assert [seed["seed"] for seed in found["seeds"]] == [0, 3]
    losses = [seed["loss"] for seed in found["seeds"]]
    assert losses[0] != losses[1]
    assert found["summary"]["loss"]["mean"] == pytest.approx(sum(losses) / 2)
    assert "2 of 2 seeds trained" in capsys.readouterr().out

    assert train(dataset, output, "--seeds", "0", "3", *options) == 2
    assert "will not be overwritten" in capsys.readouterr().err
    assert train(dataset, output, "--seeds", "0", "3", "5", "--resume", *options) == 0
    again = json.loads(summary.read_text())
    assert [seed["loss"] for seed in again["seeds"]][:2] == losses
    assert sorted(path.name for path in output.iterdir()) == ["seed-0", "seed-3", "seed-5"]

    assert train(dataset, tmp_path / "alone", "--seed", "3", "--steps", "4") == 0
    one, other = (
        (root / "checkpoints/last/policy/model.safetensors").read_bytes()
        for root in (tmp_path / "alone", output / "seed-3")
    )
    assert one == other


def test_a_seed_that_fails_does_not_stop_the_others(
    dataset: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    step = Trainer._step

    def fails(self: Trainer, number: int) -> float:
        if self.config.seed == 0:
            raise RobotPolicyError("the loss is not finite")
        return step(self, number)

    monkeypatch.setattr(Trainer, "_step", fails)
    assert train(dataset, tmp_path / "runs", "--seeds", "0", "1", "--steps", "2") == 2
    said = capsys.readouterr()
    assert "seed 0 failed: the loss is not finite" in said.err
    assert "1 of 2 seeds trained" in said.out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_run_after_the_step_it_came_in(
    number: signal.Signals, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = Trainer._step

    def signalled(self: Trainer, index: int) -> float:
        if index == 3:
            os.kill(os.getpid(), number)
        return step(self, index)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_step", signalled)
        assert train(dataset, tmp_path / "run", "--steps", "8") == 130
    assert (tmp_path / "run/checkpoints/last").resolve().name == "000004"
    assert train(dataset, tmp_path / "run", "--steps", "8", "--resume") == 0


def test_old_checkpoints_are_removed(dataset: Path, tmp_path: Path) -> None:
    options = ["--steps", "8", "--checkpoint-every", "2", "--keep-checkpoints", "2"]
    assert train(dataset, tmp_path / "run", *options) == 0
    kept = {path.name for path in (tmp_path / "run/checkpoints").iterdir()}
    assert kept == {"000006", "000008", "last"}


def test_a_finished_run_is_resumed_without_a_step(dataset: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first.json", tmp_path / "second.json"
    assert train(dataset, tmp_path / "run", "--steps", "4", "--json", str(first)) == 0
    assert train(dataset, tmp_path / "run", "--steps", "4", "--resume", "--json", str(second)) == 0
    one, other = (json.loads(path.read_text()) for path in (first, second))
    assert other.pop("steps_per_s") == 0
    assert one.pop("steps_per_s") > 0
    assert one == other


@pytest.mark.slow
@pytest.mark.parametrize("name", list(POLICIES))
def test_every_policy_trains_by_its_name(name: str, dataset: Path, tmp_path: Path) -> None:
    folders = ["--dataset", str(dataset), "--output", str(tmp_path / "run")]
    options = ["--steps", "2", "--batch-size", "8", "--accumulate", "2", "--no-tensorboard"]
    assert main(["train", name, *folders, *options, "--device", "cpu"]) == 0
