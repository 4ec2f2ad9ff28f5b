"""Every policy in the registry answers the same as a graph, or says in one line why it cannot."""

import dataclasses
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from robot_policy.checkpoint import load_policy, save_policy
from robot_policy.core.errors import ConfigError
from robot_policy.core.observation import ACTION, ENVIRONMENT_STATE, STATE, Windows
from robot_policy.core.policy import LoadedPolicy
from robot_policy.core.robot import load_robot
from robot_policy.core.specs import ArraySpec, PolicySpec
from robot_policy.export.artefact import export_policy
from robot_policy.policies.module import PolicyModule
from robot_policy.policies.registry import POLICIES
from robot_policy.runtime.exported_policy import ExportedPolicy
from robot_policy.training.pipeline import make_pipeline

SOURCE = load_robot("panda_twin").spec(environment_state=ArraySpec(shape=(3,), names=tuple("xyz")))
OURS = [
    name
    for name in POLICIES
    if not POLICIES[name].library and not POLICIES[name].reads_instructions
]
ALIKE = ("flow", "consistency")
"""The network is that of `diffusion`, and tracing it takes a quarter of a minute."""
PEERS = [name for name in POLICIES if POLICIES[name].library]


def small_config(policy_class: type[PolicyModule]) -> object:
    """The policy's own preset with few denoising steps: every step is traced anew."""
    config = policy_class.presets["cpu"]
    fewer = {
        "sample_steps": 2,
        "num_inference_steps": 2,
        "channels": (16, 32),
        "step_embedding": 16,
        "hidden": (32,),
    }
    names = {field.name for field in dataclasses.fields(config)}
    return replace(config, **{key: value for key, value in fewer.items() if key in names})


def save(name: str, folder: Path) -> Path:
    torch.manual_seed(0)
    policy_class: type[PolicyModule] = POLICIES[name]
    module = policy_class.build(small_config(policy_class), SOURCE)
    sizes = {STATE: SOURCE.state.size, ACTION: SOURCE.action.size, ENVIRONMENT_STATE: 3}
    statistics = {
        key: {
            "min": np.full(size, -2.0),
            "max": np.full(size, 2.0),
            "mean": np.zeros(size),
            "std": np.ones(size),
        }
        for key, size in sizes.items()
    }
    save_policy(
        folder,
        name=name,
        module=module,
        pipeline=make_pipeline(
            module.spec,
            statistics,
            states=policy_class.state_normalization,
            actions=policy_class.action_normalization,
        ),
        statistics=statistics,
        weights=module.state_dict(),
        training={},
    )
    return folder


@pytest.fixture(
    scope="module",
    params=[pytest.param(name, marks=pytest.mark.slow) if name in ALIKE else name for name in OURS],
)
def pair(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[LoadedPolicy, LoadedPolicy]:
    """A policy, and the same one exported."""
    folder = tmp_path_factory.mktemp(request.param)
    checkpoint = save(request.param, folder / "policy")
    export_policy(checkpoint, folder / "exported", tolerance=1e-4)
    return load_policy(checkpoint), load_policy(folder / "exported", threads=1)


def windows_for(spec: PolicySpec, *, batch: int, prefix: int | None = None) -> Windows:
    rng = np.random.default_rng(batch)
    draw = lambda *shape: rng.normal(size=shape).astype(np.float32)  # noqa: E731
    valid = np.ones((batch, spec.history), bool)
    valid[0, : spec.history - 1] = False
    return Windows(
        state=draw(batch, spec.history, spec.state.size),
        past=draw(batch, spec.past, spec.action.size),
        valid=valid,
        past_valid=np.ones((batch, spec.past), bool),
        environment_state=draw(batch, spec.history, 3),
        instructions=("",) * batch,
        prefix=None if prefix is None else draw(batch, prefix, spec.action.size).clip(-1, 1),
    )


@pytest.mark.parametrize(("batch", "count"), [(1, 1), (1, 7), (2, 3), (5, 1)])
def test_it_answers_as_the_original(
    pair: tuple[LoadedPolicy, LoadedPolicy], batch: int, count: int
) -> None:
    original, exported = pair
    assert isinstance(exported, ExportedPolicy)
    assert exported.spec == original.spec
    windows = windows_for(original.spec, batch=batch)
    a, b = (p.sample(windows, num_samples=count, generator=np.random.default_rng(3)) for p in pair)
    np.testing.assert_allclose(a.actions, b.actions, atol=1e-4)
    assert (a.past is None) == (b.past is None)


@pytest.mark.parametrize("prefix", [0, 1, 5])
def test_it_heeds_the_prefix_as_the_original(
    pair: tuple[LoadedPolicy, LoadedPolicy], prefix: int
) -> None:
    windows = windows_for(pair[0].spec, batch=2, prefix=prefix)
    a, b = (p.sample(windows, num_samples=2, generator=np.random.default_rng(3)) for p in pair)
    np.testing.assert_allclose(a.actions, b.actions, atol=1e-4)


def test_it_takes_of_a_soft_prefix_what_is_decided(pair: tuple[LoadedPolicy, LoadedPolicy]) -> None:
    original, exported = pair
    soft = windows_for(original.spec, batch=2, prefix=5)
    weights = np.array([[1, 1, 0.4, 0.2, 0], [1, 1, 1, 0.3, 0]], np.float32)
    hard = windows_for(original.spec, batch=2, prefix=5)
    assert hard.prefix is not None
    a = original.sample(
        replace(hard, prefix=hard.prefix[:, :2]), num_samples=1, generator=np.random.default_rng(3)
    )
    b = exported.sample(
        replace(soft, prefix_weights=weights), num_samples=1, generator=np.random.default_rng(3)
    )
    np.testing.assert_allclose(a.actions, b.actions, atol=1e-4)


@pytest.mark.peer
@pytest.mark.parametrize("name", PEERS)
def test_a_peer_is_exported_or_refused_in_one_line(name: str, tmp_path: Path) -> None:
    pytest.importorskip(POLICIES[name].library)
    checkpoint = save(name, tmp_path / "policy")
    refused = None
    try:
        export_policy(checkpoint, tmp_path / "exported")
    except ConfigError as error:
        refused = str(error)
    assert (tmp_path / "exported").exists() == (refused is None)
    assert refused is None or "cannot be exported" in refused
