"""Settings that contradict each other are refused by both names, before anything is written."""

from pathlib import Path

import pytest
import torch

from robot_policy.cli.main import main
from robot_policy.core.errors import ConfigError
from robot_policy.policies.bc import BcConfig
from robot_policy.training.config import EvaluateConfig, TrainConfig
from robot_policy.training.contradictions import check_division, check_precision

SMALL = ["--policy.hidden", "8", "--batch-size", "16", "--no-tensorboard", "--device", "cpu"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--steps", "5", "--epochs", "2"], "--steps and --epochs: only one of the two"),
        (["--seed", "1", "--seeds", "1", "2"], "--seed and --seeds: only one of the two"),
        (["--seeds", "1", "1"], "--seeds: listed twice; got 1"),
        (["--cameras", "a", "b", "a"], "--cameras: listed twice; got a"),
        (
            ["--steps", "5", "--optimizer.warmup-steps=9"],
            "--optimizer.warmup-steps and --steps: the warm-up is longer than the run",
        ),
        (["--precision", "float16"], "--precision float16 on --device cpu: float16 needs a GPU"),
        (["--evaluate.every", "5"], "--evaluate.every without --evaluate.task"),
        (["--evaluate.task", "lift"], "--evaluate.task without --evaluate.every"),
        (
            ["--evaluate.task", "lifft", "--evaluate.every", "5"],
            "--evaluate.task: unknown task 'lifft'",
        ),
        (
            ["--evaluate.task", "lift", "--evaluate.every", "5", "--evaluate.execute-steps", "17"],
            "--evaluate.execute-steps and the hyper-parameters that set the horizon: more actions "
            "than the horizon of the policy; expected at most 16; got 17",
        ),
        (["--evaluate.episodes", "0"], "--evaluate.episodes: too small; expected >= 1; got 0"),
        (["--accumulate", "3"], "--accumulate 3: the batch cannot be shared evenly"),
        (["--keep-checkpoints", "-1"], "--keep-checkpoints: must not be negative"),
        (["--dry-run", "--resume"], "--dry-run together with --resume"),
        (["--optimizer.groups", "nett.*:lr_scale=1"], "no parameter matches 'nett.*'"),
    ],
)
def test_one_line_names_both(
    options: list[str],
    message: str,
    dataset: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folders = ["--dataset", str(dataset), "--output", str(tmp_path / "run")]
    assert main(["train", "bc", *folders, *SMALL, *options]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_a_batch_is_shared_by_processes_and_parts(tmp_path: Path) -> None:
    config = TrainConfig(tmp_path, tmp_path, BcConfig(), batch_size=24, accumulate=2)
    check_division(config, processes=3, batch_size=24)
    with pytest.raises(ConfigError, match=r"over 5 processes and --accumulate 2.*multiple of 10"):
        check_division(config, processes=5, batch_size=24)
    with pytest.raises(ConfigError, match="the dataset has only 9 windows"):
        check_division(config, processes=1, batch_size=9)


def test_half_precision_is_for_gpus(tmp_path: Path) -> None:
    config = TrainConfig(tmp_path, tmp_path, BcConfig(), precision="float16")
    check_precision(config, torch.device("cuda"))


def test_evaluations_are_due_at_multiples() -> None:
    config = EvaluateConfig(task="lift", every=4)
    assert [step for step in range(10) if config.due(step)] == [4, 8]
    assert not EvaluateConfig().due(4)


def test_chosen_starts_are_not_reported_starts() -> None:
    from robot_policy.cli.collect import CollectConfig
    from robot_policy.cli.eval import EvalConfig

    first = {
        "collect": CollectConfig(task="lift", output=Path()).seed,
        "train": EvaluateConfig().seed,
        "eval": EvalConfig(checkpoint=Path(), task="lift").seed,
    }
    assert first["collect"] < first["train"] < first["eval"]
    assert first["eval"] - first["train"] >= 10_000
