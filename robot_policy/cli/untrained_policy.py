"""A policy that nobody has trained: it thinks as long as a trained one, which is all it is for."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from robot_policy.core.observation import ACTION, ENVIRONMENT_STATE, STATE
from robot_policy.core.specs import ArraySpec, PolicySpec


def write_untrained_policy(
    folder: Path, name: str, source: PolicySpec, *, preset: str = "cpu", **options: Any
) -> None:
    """Writes a policy folder with random weights.

    Args:
        folder: Is created.
        name: Of the policy in the registry.
        source: What a robot offers, all of which the policy uses.
        preset: Of its hyper-parameters.
        options: Hyper-parameters that differ from the preset.
    """
    from dataclasses import replace

    import torch

    from robot_policy.checkpoint import save_policy
    from robot_policy.policies.registry import POLICIES
    from robot_policy.training.pipeline import make_pipeline

    policy = POLICIES[name]
    torch.manual_seed(0)
    module = policy.build(replace(policy.presets[preset], **options), source)
    statistics = {STATE: _range(source.state), ACTION: _range(source.action)}
    if source.environment_state is not None:
        statistics[ENVIRONMENT_STATE] = _range(source.environment_state)
    save_policy(
        folder,
        name=name,
        module=module,
        pipeline=make_pipeline(module.spec, statistics, states=policy.state_normalization),
        statistics=statistics,
        weights=module.state_dict(),
        training={},
    )


def _range(spec: ArraySpec) -> Mapping[str, np.ndarray]:
    # Half of what is allowed: random actions go from one end to the other.
    low = 0.5 * np.array(spec.low or (-1.0,) * spec.size)
    high = 0.5 * np.array(spec.high or (1.0,) * spec.size)
    return {"min": low, "max": high, "mean": (low + high) / 2, "std": (high - low) / 2}
