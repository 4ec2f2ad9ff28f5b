"""The trained policy that another one learns from."""

from pathlib import Path
from typing import Any

import torch

from robot_policy.checkpoint import load_policy, load_statistics, statistics_to_json
from robot_policy.core.errors import ConfigError
from robot_policy.core.specs import check_runs_on
from robot_policy.core.transforms import Pipeline, Statistics
from robot_policy.policies.module import PolicyModule
from robot_policy.policies.torch_policy import TorchPolicy
from robot_policy.training.pipeline import used_statistics


def load_teacher(policy: Any, *, device: torch.device) -> TorchPolicy | None:
    """Loads the checkpoint that the hyper-parameter ``teacher`` names.

    Args:
        policy: Hyper-parameters of the policy that is trained.
        device: Where it is trained.

    Returns:
        None where there is no such hyper-parameter, or it is empty.

    Raises:
        CheckpointError: If there is no usable checkpoint.
        ConfigError: If it holds no trainable network.
    """
    path = getattr(policy, "teacher", "")
    if not path:
        return None
    teacher = load_policy(Path(path), device=device.type)
    if not isinstance(teacher, TorchPolicy):
        raise ConfigError("a teacher must be a training checkpoint", where=f"teacher {path}")
    return teacher


def check_teacher(
    path: str, teacher: TorchPolicy, *, module: PolicyModule, pipeline: Pipeline, data: Statistics
) -> None:
    """Checks that teacher and student see the same numbers.

    Raises:
        SpecError: If the teacher was trained for another robot or other observations.
        ConfigError: If its data or its scaling are others.
    """
    where = f"teacher {path}"
    check_runs_on(teacher.spec, module.spec, where=where)
    before = statistics_to_json(load_statistics(Path(path)))
    now = statistics_to_json(used_statistics(data, module.spec))
    for key in sorted(before.keys() | now.keys()):
        if before.get(key) != now.get(key):
            raise ConfigError("it was trained on other data", where=where, got=f"another {key}")
    if teacher.pipeline.to_json() != pipeline.to_json():
        raise ConfigError(
            "it was trained with another scaling",
            where=f"{where} and --normalization",
            expected=teacher.pipeline.to_json(),
            got=pipeline.to_json(),
        )
