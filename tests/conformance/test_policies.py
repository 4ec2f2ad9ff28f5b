"""What every policy in the registry must do, whatever it is."""

import dataclasses
import importlib.util
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from robot_policy.checkpoint import load_policy, save_policy
from robot_policy.core.errors import ConfigError
from robot_policy.core.observation import ACTION, ENVIRONMENT_STATE, EPISODE, STATE, TASK, Windows
from robot_policy.core.policy import Policy
from robot_policy.core.robot import load_robot
from robot_policy.core.specs import ArraySpec, PolicySpec, image_spec
from robot_policy.nets.draws import Draws
from robot_policy.nets.language import INSTRUCTION
from robot_policy.policies.module import PolicyModule, Remembers
from robot_policy.policies.registry import POLICIES
from robot_policy.policies.torch_policy import TorchPolicy, to_tensors
from robot_policy.training.config import PRESETS
from robot_policy.training.pipeline import make_pipeline

SOURCE = load_robot("panda_twin").spec(environment_state=ArraySpec(shape=(3,), names=tuple("xyz")))
SEEING = replace(SOURCE, cameras={"agent view": image_spec(24, 32), "wrist": image_spec(24, 24)})
CPU = torch.device("cpu")


def each_policy() -> list[Any]:
    """Names of the registry; those whose library is missing are skipped."""
    cases = []
    for name in POLICIES:
        library = POLICIES[name].library
        missing = bool(library) and importlib.util.find_spec(library) is None
        skip = pytest.mark.skipif(missing, reason=f"{library} is not installed")
        cases.append(pytest.param(name, marks=[pytest.mark.peer, skip] if library else []))
    return cases


NAMES = each_policy()


def statistics_for(source: PolicySpec) -> dict[str, dict[str, np.ndarray]]:
    sizes = {STATE: source.state.size, ACTION: source.action.size, ENVIRONMENT_STATE: 3}
    return {
        key: {
            "min": np.full(size, -2.0),
            "max": np.full(size, 2.0),
            "mean": np.zeros(size),
            "std": np.ones(size),
        }
        for key, size in sizes.items()
    }


def build(name: str, source: PolicySpec = SOURCE) -> TorchPolicy:
    torch.manual_seed(0)
    policy_class: type[PolicyModule] = POLICIES[name]
    module = policy_class.build(policy_class.presets["cpu"], source)
    pipeline = make_pipeline(
        module.spec,
        statistics_for(source),
        states=policy_class.state_normalization,
        actions=policy_class.action_normalization,
    )
    return TorchPolicy(module, pipeline, device=CPU)


def windows_for(spec: PolicySpec, *, batch: int, seed: int = 0) -> Windows:
    rng = np.random.default_rng(seed)
    draw = lambda *shape: rng.normal(size=shape).astype(np.float32)  # noqa: E731
    env = spec.environment_state
    return Windows(
        state=draw(batch, spec.history, spec.state.size),
        past=draw(batch, spec.past, spec.action.size),
        valid=np.ones((batch, spec.history), bool),
        past_valid=np.ones((batch, spec.past), bool),
        environment_state=None if env is None else draw(batch, spec.history, env.size),
        images={
            name: rng.integers(0, 256, (batch, spec.history, *camera.shape), dtype=np.uint8)
            for name, camera in spec.cameras.items()
        },
        instructions=("lift the cube",) * batch,
    )


def generators(*seeds: int) -> list[np.random.Generator]:
    return [np.random.default_rng(seed) for seed in seeds]


def training_batch(module: PolicyModule, *, batch: int) -> dict[str, torch.Tensor]:
    """Actions are a smooth function of the state, so that there is something to learn."""
    spec = module.spec
    rng = np.random.default_rng(1)
    length = spec.past + spec.horizon
    sample = windows_for(spec, batch=batch).as_sample()
    chunk = np.tanh(sample[STATE][:, -1:, : spec.action.size])
    sample[ACTION] = np.repeat(chunk, length, axis=1)
    sample["action_is_pad"] = np.arange(length)[None] >= rng.integers(
        min(4, length - 1), length, (batch, 1)
    )
    if module.reader is not None:
        sample[INSTRUCTION] = module.reader.encode(sample[TASK])
    return to_tensors(sample, CPU)


@pytest.fixture(scope="module", params=NAMES)
def policy(request: pytest.FixtureRequest) -> TorchPolicy:
    return build(request.param)


def test_it_is_a_policy(policy: TorchPolicy) -> None:
    assert isinstance(policy, Policy)
    policy.reset()


@pytest.mark.parametrize("name", NAMES)
def test_it_has_every_preset(name: str) -> None:
    assert set(POLICIES[name].presets) == set(PRESETS)


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("num_samples", [1, 4])
def test_candidates_have_the_promised_shape(
    policy: TorchPolicy, batch: int, num_samples: int
) -> None:
    spec = policy.spec
    candidates = policy.sample(
        windows_for(spec, batch=batch),
        num_samples=num_samples,
        generator=generators(*range(batch)),
    )
    assert candidates.actions.shape == (batch, num_samples, spec.horizon, spec.action.size)
    assert candidates.actions.dtype == np.float32
    assert np.isfinite(candidates.actions).all()
    if spec.past:
        assert candidates.past is not None
        assert candidates.past.shape[2] == spec.past
    else:
        assert candidates.past is None


def test_the_same_generator_draws_the_same(policy: TorchPolicy) -> None:
    windows = windows_for(policy.spec, batch=2)
    a, b = (
        policy.sample(windows, num_samples=2, generator=np.random.default_rng(3)) for _ in range(2)
    )
    np.testing.assert_array_equal(a.actions, b.actions)


def test_a_row_does_not_depend_on_who_shares_its_batch(policy: TorchPolicy) -> None:
    together = windows_for(policy.spec, batch=3)
    both = policy.sample(together, num_samples=2, generator=generators(1, 2, 3))
    alone = replace(
        together,
        state=together.state[1:2],
        past=together.past[1:2],
        valid=together.valid[1:2],
        past_valid=together.past_valid[1:2],
        environment_state=together.environment_state[1:2],
        instructions=("lift the cube",),
    )
    one = policy.sample(alone, num_samples=2, generator=generators(2))
    np.testing.assert_allclose(one.actions[0], both.actions[1], atol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_it_works_without_privileged_state(name: str) -> None:
    policy = build(name, replace(SOURCE, environment_state=None))
    windows = windows_for(policy.spec, batch=1)
    assert policy.sample(windows, generator=np.random.default_rng(0)).actions.shape[0] == 1


@pytest.mark.parametrize("name", NAMES)
def test_it_learns_from_images(name: str) -> None:
    """Every parameter of the encoders learns, and the answer depends on what is seen."""
    if not POLICIES[name].sees_cameras:
        with pytest.raises(ConfigError, match="states only"):
            build(name, SEEING)
        return
    policy = build(name, SEEING)
    windows = windows_for(policy.spec, batch=2)
    dark = {camera: np.zeros_like(frames) for camera, frames in windows.images.items()}
    seen, unseen = (
        # Several, because of few and discrete answers the first may be the same.
        policy.sample(w, num_samples=8, generator=np.random.default_rng(0)).actions
        for w in (windows, replace(windows, images=dark))
    )
    assert seen.shape == (2, 8, policy.spec.horizon, policy.spec.action.size)
    assert not np.array_equal(seen, unseen)
    batch = training_batch(policy.module, batch=4)
    policy.module.loss(batch, draws=Draws(torch.Generator().manual_seed(0))).backward()
    still = [key for key, p in policy.module.named_parameters() if p.grad is None]
    assert still == []


@pytest.mark.parametrize("name", NAMES)
def test_training_lowers_the_loss(name: str) -> None:
    module = build(name).module.train()
    optimizer = torch.optim.AdamW(module.parameters(), lr=1e-3)
    batch = training_batch(module, batch=16)
    if isinstance(module, Remembers):
        batch[EPISODE] = torch.arange(16) % 4
        module.memorise(batch, seed=0)
    draws = Draws(torch.Generator().manual_seed(0))
    losses = []
    for _ in range(100):
        loss = module.loss(batch, draws=draws)
        assert loss.ndim == 0
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    # A policy that looks demonstrations up has one parameter, which cannot make up for much.
    least = 0.8 if sum(p.numel() for p in module.parameters()) > 1 else 1.0
    assert np.mean(losses[-10:]) < least * np.mean(losses[:5])


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_learns(name: str) -> None:
    module = build(name).module.train()
    module.loss(training_batch(module, batch=4), draws=Draws(torch.Generator())).backward()
    without = [key for key, p in module.named_parameters() if p.grad is None]
    assert without == []


@pytest.mark.parametrize("name", NAMES)
def test_a_saved_policy_answers_the_same(name: str, tmp_path: Path) -> None:
    policy = build(name)
    save_policy(
        tmp_path / "policy",
        name=name,
        module=policy.module,
        pipeline=policy.pipeline,
        statistics=statistics_for(SOURCE),
        weights=policy.module.state_dict(),
        training={},
    )
    loaded = load_policy(tmp_path / "policy")
    assert loaded.spec == policy.spec
    windows = windows_for(policy.spec, batch=2)
    a, b = (
        p.sample(windows, num_samples=3, generator=np.random.default_rng(0))
        for p in (policy, loaded)
    )
    np.testing.assert_array_equal(a.actions, b.actions)


@pytest.mark.parametrize("name", NAMES)
def test_hyper_parameters_are_flat_and_json_ready(name: str) -> None:
    for preset in POLICIES[name].presets.values():
        for value in dataclasses.asdict(preset).values():
            assert isinstance(value, int | float | str | bool | tuple)
