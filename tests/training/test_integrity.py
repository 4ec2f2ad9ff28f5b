"""What must not pass unnoticed: changed statistics, other versions, losses that are not finite."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from robot_policy.checkpoint import load_policy
from robot_policy.core.errors import CheckpointError, RobotPolicyError
from robot_policy.nets.draws import Draws
from robot_policy.policies.bc import BcConfig
from robot_policy.policies.module import Batch
from robot_policy.training.config import OptimizerConfig, TrainConfig
from robot_policy.training.loop import Trainer

POLICY = "checkpoints/last/policy"


def config(dataset: Path, output: Path, **changes: Any) -> TrainConfig:
    return TrainConfig(
        dataset,
        output,
        BcConfig(hidden=(8,), horizon=4),
        **{
            "steps": 4,
            "batch_size": 16,
            "optimizer": OptimizerConfig(lr=1e-3, warmup_steps=1),
            "tensorboard": False,
            "device": "cpu",
            "threads": 1,
            **changes,
        },
    )


@pytest.fixture
def run(dataset: Path, tmp_path: Path) -> Path:
    Trainer("bc", config(dataset, tmp_path / "run")).run()
    return tmp_path / "run"


def refused_on_load_and_on_resume(dataset: Path, run: Path, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        load_policy(run)
    with pytest.raises(CheckpointError, match=message):
        Trainer("bc", config(dataset, run, steps=6, resume=True))


def test_edited_statistics_are_refused(dataset: Path, run: Path) -> None:
    path = run / POLICY / "stats.json"
    statistics = json.loads(path.read_text())
    statistics["action"]["max"][0] += 1e-6
    path.write_text(json.dumps(statistics))
    refused_on_load_and_on_resume(dataset, run, r"stats.json: not the statistics this policy was")


def test_another_version_is_refused(dataset: Path, run: Path) -> None:
    path = run / POLICY / "config.json"
    settings = json.loads(path.read_text())
    path.write_text(json.dumps(settings | {"format_version": 99}))
    refused_on_load_and_on_resume(dataset, run, "written by another version.*got 99")


def test_statistics_that_were_only_laid_out_anew_pass(run: Path) -> None:
    path = run / POLICY / "stats.json"
    path.write_text(json.dumps(json.loads(path.read_text()), sort_keys=True))
    load_policy(run)


def test_a_run_begun_before_a_setting_existed_goes_on(dataset: Path, run: Path) -> None:
    path = run / "train_config.json"
    settings = json.loads(path.read_text())
    del settings["accumulate"], settings["optimizer"]["groups"], settings["evaluate"]
    path.write_text(json.dumps(settings))
    assert Trainer("bc", config(dataset, run, steps=5, resume=True)).run().steps == 5
    path.write_text(json.dumps(settings))
    other = OptimizerConfig(lr=1e-3, warmup_steps=1, groups=("*:lr_scale=0.5",))
    with pytest.raises(RobotPolicyError, match=r"--optimizer\.groups: a resumed run must have"):
        Trainer("bc", config(dataset, run, steps=6, resume=True, optimizer=other))


def poison(
    trainer: Trainer, monkeypatch: pytest.MonkeyPatch, *, at: int, gradient_only: bool = False
) -> list[str]:
    """Spoils one row of the batch of a step; returns where the row comes from."""
    module, loss = trainer.module, trainer.module.loss
    state = trainer.batches.training_batch(at)["observation.state"]
    row = torch.from_numpy(state[7])

    def poisoned(batch: Batch, *, draws: Draws) -> Tensor:
        hit = (batch["observation.state"] == row).flatten(1).all(1)
        value = loss(batch, draws=draws)
        if not hit.any():
            return value
        # The derivative of sqrt(|x|) is infinite at 0, where its value is 0.
        zero = next(module.parameters()).flatten()[0] * 0
        return value + zero.abs().sqrt() if gradient_only else value * torch.nan

    monkeypatch.setattr(module, "loss", poisoned)
    return [trainer.batches.describe(at, [7])]


@pytest.mark.parametrize("parts", [1, 2])
def test_a_loss_that_is_not_finite_names_the_window(
    parts: int, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = config(dataset, tmp_path / "run", accumulate=parts, steps=9, checkpoint_every=1)
    trainer = Trainer("bc", settings)
    (origin,) = poison(trainer, monkeypatch, at=2)
    with pytest.raises(RobotPolicyError) as caught:
        trainer.run()
    message = str(caught.value)
    assert message.startswith("gradient step 2: the loss is not finite; the weights and the last")
    assert f"1 of 16 rows in {origin}" in message
    assert "epoch 0, batch 2: episode" in message
    saved = load_policy(tmp_path / "run").module.state_dict()
    assert all(value.isfinite().all() for value in saved.values())
    assert (tmp_path / "run/checkpoints/last").resolve().name == "000002"


def test_a_gradient_that_is_not_finite_leaves_the_weights(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = Trainer("bc", config(dataset, tmp_path / "run"))
    poison(trainer, monkeypatch, at=0, gradient_only=True)
    before = {key: value.clone() for key, value in trainer.module.state_dict().items()}
    with pytest.raises(
        RobotPolicyError, match=r"step 0: the gradient is not finite.*no single row"
    ):
        trainer.run()
    for key, value in trainer.module.state_dict().items():
        assert torch.equal(value, before[key])


def test_dropout_is_repeated_after_a_resume(dataset: Path, tmp_path: Path) -> None:
    class Drops(Trainer):
        def __init__(self, name: str, settings: TrainConfig) -> None:
            super().__init__(name, settings)
            self.module.net[1] = torch.nn.Dropout(0.5)

    def train(output: str, steps: int, **changes: Any) -> bytes:
        Drops("bc", config(dataset, tmp_path / output, steps=steps, **changes)).run()
        return (tmp_path / output / POLICY / "model.safetensors").read_bytes()

    # A rate that does not hang on the length of the run, which is cut in two here.
    constant = {"optimizer": OptimizerConfig(lr=1e-3, warmup_steps=1000)}
    whole = train("whole", 4, **constant)
    train("parts", 2, **constant)
    assert train("parts", 4, resume=True, **constant) == whole
