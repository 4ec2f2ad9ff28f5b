"""Training learns, resumes to the last bit, and refuses what it cannot do before it writes."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from robot_policy.checkpoint import load_policy
from robot_policy.core.episode import Success
from robot_policy.core.errors import CheckpointError, ConfigError, DataError, RobotPolicyError
from robot_policy.policies.bc import BcConfig
from robot_policy.policies.diffusion import DiffusionConfig
from robot_policy.training.config import OptimizerConfig, TrainConfig
from robot_policy.training.loop import Trainer

type MakeDataset = Callable[[Path, Sequence[Success]], Path]

SMALL = {
    "bc": BcConfig(hidden=(16,), horizon=4),
    "diffusion": DiffusionConfig(channels=(8, 16), groups=4, step_embedding=8, train_steps=20),
}


def config(name: str, dataset: Path, output: Path, **changes: Any) -> TrainConfig:
    return TrainConfig(
        dataset=dataset,
        output=output,
        policy=SMALL[name],
        **{
            "steps": 12,
            "batch_size": 16,
            "optimizer": OptimizerConfig(lr=1e-3, warmup_steps=4),
            "validation_fraction": 0.2,
            "validate_every": 5,
            "checkpoint_every": 6,
            "tensorboard": False,
            "threads": 1,
            "device": "cpu",
            **changes,
        },
    )


def weights(run: Path, step: int) -> dict[str, torch.Tensor]:
    folder = run / "checkpoints" / f"{step:06d}"
    return load_file(folder / "policy" / "model.safetensors") | load_file(
        folder / "training_state" / "state.safetensors"
    )


@pytest.mark.parametrize("name", SMALL)
def test_a_resumed_run_equals_one_that_was_not_stopped(
    name: str, dataset: Path, tmp_path: Path
) -> None:
    whole = config(name, dataset, tmp_path / "whole")
    Trainer(name, whole).run()

    class StopsAtSeven(Trainer):
        def _step(self, step: int) -> float:
            if step == 7:
                raise KeyboardInterrupt
            return super()._step(step)

    parts = replace(whole, output=tmp_path / "parts")
    with pytest.raises(KeyboardInterrupt):
        StopsAtSeven(name, parts).run()
    assert (tmp_path / "parts/checkpoints/last").resolve().name == "000007"
    result = Trainer(name, replace(parts, resume=True)).run()
    assert result.steps == 12
    a, b = weights(tmp_path / "whole", 12), weights(tmp_path / "parts", 12)
    assert a.keys() == b.keys()
    for key, value in a.items():
        assert torch.equal(value, b[key]), key


def test_it_learns_and_the_checkpoint_acts(dataset: Path, tmp_path: Path) -> None:
    settings = config("bc", dataset, tmp_path / "run", steps=400, checkpoint_every=400)
    before = Trainer("bc", replace(settings, output=tmp_path / "none", steps=1)).run()
    result = Trainer("bc", settings).run()
    assert before.validation_loss is not None
    assert result.validation_loss is not None
    assert result.validation_loss < 0.5 * before.validation_loss
    policy = load_policy(tmp_path / "run")
    assert policy.spec.horizon == 4
    assert policy.spec.environment_state is not None


def test_the_policy_does_not_see_privileged_state_if_not_wanted(
    dataset: Path, tmp_path: Path
) -> None:
    Trainer("bc", config("bc", dataset, tmp_path / "run", environment_state=False)).run()
    assert load_policy(tmp_path / "run").spec.environment_state is None


def test_epochs_instead_of_steps(dataset: Path, tmp_path: Path) -> None:
    trainer = Trainer("bc", config("bc", dataset, tmp_path / "run", epochs=2.0))
    assert trainer.steps == 2 * trainer.batches.batches_per_epoch


def test_failures_are_left_out(make_dataset: MakeDataset, tmp_path: Path) -> None:
    outcomes = [Success.YES, Success.NO, Success.UNKNOWN, Success.NO]
    mixed = make_dataset(tmp_path / "mixed", outcomes)
    only_failures = make_dataset(tmp_path / "failures", [Success.NO] * 2)
    settings = config("bc", mixed, tmp_path / "run", validation_fraction=0.0, batch_size=40)
    assert Trainer("bc", settings).batches.batches_per_epoch == 1
    everything = Trainer("bc", replace(settings, successes_only=False))
    assert everything.batches.batches_per_epoch == 2
    with pytest.raises(DataError, match="no episode to learn from"):
        Trainer("bc", replace(settings, dataset=only_failures))


def test_an_existing_run_is_not_overwritten(dataset: Path, tmp_path: Path) -> None:
    settings = config("bc", dataset, tmp_path / "run")
    Trainer("bc", settings).run()
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "run").rglob("*")}
    with pytest.raises(ConfigError, match="will not be overwritten"):
        Trainer("bc", settings)
    with pytest.raises(ConfigError, match=r"--batch-size.*expected 16; got 8"):
        Trainer("bc", replace(settings, resume=True, batch_size=8))
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "run").rglob("*")} == before


def test_nothing_to_resume(dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="nothing to resume"):
        Trainer("bc", config("bc", dataset, tmp_path / "run", resume=True))


def test_a_damaged_training_state_is_named(dataset: Path, tmp_path: Path) -> None:
    settings = config("bc", dataset, tmp_path / "run")
    Trainer("bc", settings).run()
    state = tmp_path / "run/checkpoints/last/training_state/state.safetensors"
    state.write_bytes(state.read_bytes()[:100])
    with pytest.raises(CheckpointError, match="cannot resume"):
        Trainer("bc", replace(settings, resume=True))


def test_bad_settings_write_nothing(dataset: Path, tmp_path: Path) -> None:
    output = tmp_path / "run"
    cases: list[tuple[dict[str, Any], str]] = [
        ({"cameras": ("wrist",)}, "no camera 'wrist'"),
        ({"dataset": tmp_path / "nothing"}, "nothing"),
        ({"device": "tpu"}, "tpu"),
    ]
    for changes, message in cases:
        with pytest.raises(RobotPolicyError, match=message):
            Trainer("bc", replace(config("bc", dataset, output), **changes))
    with pytest.raises(ConfigError, match="--batch-size"):
        config("bc", dataset, output, batch_size=0)
    assert not output.exists()


def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_checkpoint(
    dataset: Path, tmp_path: Path
) -> None:
    settings = config(
        "bc", dataset, tmp_path / "run", steps=40, checkpoint_every=1, precision="float32"
    )

    class Poisoned(Trainer):
        def _step(self, step: int) -> float:
            if step == 3:
                with torch.no_grad():
                    next(self.module.parameters()).fill_(np.nan)
            return super()._step(step)

    with pytest.raises(RobotPolicyError, match="gradient step 3: the loss is not finite"):
        Poisoned("bc", settings).run()
    load_policy(tmp_path / "run")
    assert (tmp_path / "run/checkpoints/last").resolve().name == "000003"
