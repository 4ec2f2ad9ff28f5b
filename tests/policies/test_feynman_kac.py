"""Resampling of candidates while they are denoised."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from robot_policy.core.errors import ConfigError
from robot_policy.core.observation import ACTION, STATE, Candidates, Windows
from robot_policy.core.robot import load_robot
from robot_policy.policies.denoising.feynman_kac import FeynmanKacPolicy
from robot_policy.policies.registry import POLICIES
from robot_policy.policies.torch_policy import TorchPolicy
from robot_policy.training.pipeline import make_pipeline

SOURCE = load_robot("panda_twin").spec()
SCALE = {
    key: {"min": np.full(size, -1.0), "max": np.full(size, 1.0)}
    for key, size in ((STATE, SOURCE.state.size), (ACTION, SOURCE.action.size))
}


class Likes:
    """Prefers chunks whose first entry is high."""

    def __init__(self, bad: float = 0.0) -> None:
        self.bad = bad
        self.calls = 0

    def score(self, windows: Windows, candidates: Candidates) -> NDArray[np.float32]:
        del windows
        self.calls += 1
        return candidates.actions[..., 0].mean(-1) + np.float32(self.bad)


def policy(name: str = "diffusion", **options: Any) -> TorchPolicy:
    torch.manual_seed(0)
    policy_class = POLICIES[name]
    preset = policy_class.presets["cpu"]
    config = replace(preset, backbone="mlp", hidden=32, blocks=1, **options)
    module = policy_class.build(config, SOURCE)
    pipeline = make_pipeline(module.spec, SCALE, states="min_max")
    return TorchPolicy(module, pipeline, device=torch.device("cpu"))


def windows(base: TorchPolicy) -> Windows:
    history = base.spec.history
    return Windows(
        state=np.zeros((2, history, SOURCE.state.size), np.float32),
        past=np.zeros((2, base.spec.past, 7), np.float32),
        valid=np.ones((2, history), bool),
        past_valid=np.ones((2, base.spec.past), bool),
        instructions=("", ""),
    )


def draw(steered: Any, base: TorchPolicy, *, count: int = 32) -> NDArray[np.float32]:
    rows = [np.random.default_rng(seed) for seed in (0, 1)]
    return steered.sample(windows(base), num_samples=count, generator=rows).actions


@pytest.mark.parametrize(
    ("name", "options"),
    [("diffusion", {}), ("diffusion", {"sampler": "ddpm"}), ("flow", {"sample_steps": 5})],
)
def test_candidates_are_better_than_without(name: str, options: dict[str, Any]) -> None:
    base = policy(name, **options)
    plain = draw(base, base)
    scorer = Likes()
    steered = draw(FeynmanKacPolicy(base, scorer, times=3, scored_steps=8), base)
    assert scorer.calls == 3
    assert steered.shape == plain.shape
    assert steered[..., :8, 0].mean() > plain[..., :8, 0].mean() + 0.02
    # Copies have been told apart.
    assert len(np.unique(steered[0, :, 0, 0].round(6))) > 20


def test_the_first_candidate_is_the_policys_own() -> None:
    base = policy()
    steered = draw(FeynmanKacPolicy(base, Likes(), times=3, scored_steps=8), base)
    np.testing.assert_allclose(steered[:, 0], draw(base, base)[:, 0], atol=1e-5)


def test_judgements_that_are_not_finite_resample_by_nothing() -> None:
    base = policy()
    steered = draw(FeynmanKacPolicy(base, Likes(np.nan), times=3, scored_steps=8), base)
    np.testing.assert_allclose(steered, draw(base, base), atol=1e-5)


@pytest.mark.parametrize(
    ("base", "times", "message"),
    [
        (policy(), 10, "1 .. 9"),
        (policy(shared_steps=2), 1, "shared_steps 0"),
    ],
)
def test_policies_that_cannot_are_refused(base: TorchPolicy, times: int, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        FeynmanKacPolicy(base, Likes(), times=times, scored_steps=8)


def test_a_policy_that_does_not_denoise_is_refused() -> None:
    torch.manual_seed(0)
    module = POLICIES["bc"].build(POLICIES["bc"].presets["cpu"], SOURCE)
    base = TorchPolicy(
        module, make_pipeline(module.spec, SCALE, states="min_max"), device=torch.device("cpu")
    )
    with pytest.raises(ConfigError, match="only a policy that denoises"):
        FeynmanKacPolicy(base, Likes(), times=1, scored_steps=8)
