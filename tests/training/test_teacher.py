"""A student is trained from a checkpoint, on the data and with the scaling of its teacher."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from robot_policy.checkpoint import load_policy
from robot_policy.core.episode import Success
from robot_policy.core.errors import RobotPolicyError
from robot_policy.policies.bc import BcConfig
from robot_policy.policies.consistency import ConsistencyConfig
from robot_policy.policies.diffusion import DiffusionConfig
from robot_policy.training.config import OptimizerConfig, TrainConfig
from robot_policy.training.loop import Trainer

TEACHER = DiffusionConfig(
    history=3, channels=(8, 16), groups=4, step_embedding=8, train_steps=20, prediction="v"
)


def config(dataset: Path, output: Path, policy: object) -> TrainConfig:
    return TrainConfig(
        dataset=dataset,
        output=output,
        policy=policy,
        steps=4,
        batch_size=16,
        optimizer=OptimizerConfig(warmup_steps=1),
        tensorboard=False,
        threads=1,
        device="cpu",
    )


def test_the_student_begins_as_its_teacher_and_a_run_repeats(dataset: Path, tmp_path: Path) -> None:
    Trainer("diffusion", config(dataset, tmp_path / "teacher", TEACHER)).run()
    student = ConsistencyConfig(teacher=str(tmp_path / "teacher"))
    settings = config(dataset, tmp_path / "whole", student)
    trainer = Trainer("consistency", settings)
    taught = load_policy(tmp_path / "teacher").module.state_dict()
    for key, value in trainer.module.state_dict().items():
        assert torch.equal(value, taught[key]), key
    trainer.run()
    assert load_policy(tmp_path / "whole").spec.history == 3
    Trainer("consistency", replace(settings, output=tmp_path / "again")).run()
    whole, again = (
        load_file(tmp_path / name / "checkpoints/last/policy/model.safetensors")
        for name in ("whole", "again")
    )
    assert all(torch.equal(value, again[key]) for key, value in whole.items())


def test_what_cannot_teach_is_refused(
    dataset: Path, make_dataset: Callable[[Path, Sequence[Success]], Path], tmp_path: Path
) -> None:
    Trainer("diffusion", config(dataset, tmp_path / "teacher", TEACHER)).run()
    Trainer("bc", config(dataset, tmp_path / "bc", BcConfig(hidden=(8,)))).run()
    other = make_dataset(tmp_path / "other", [Success.YES] * 4)
    teacher = ConsistencyConfig(teacher=str(tmp_path / "teacher"))
    output = tmp_path / "student"
    cases = [
        (other, teacher, "min_max", "trained on other data"),
        (dataset, ConsistencyConfig(teacher=str(tmp_path / "bc")), "min_max", "only a diffusion"),
        (dataset, ConsistencyConfig(teacher=str(tmp_path / "x")), "min_max", "no such checkpoint"),
        (dataset, teacher, "mean_std", "another scaling"),
    ]
    for data, policy, scaling, message in cases:
        settings = replace(config(data, output, policy), normalization=scaling)
        with pytest.raises(RobotPolicyError, match=message):
            Trainer("consistency", settings)
    assert not output.exists()
