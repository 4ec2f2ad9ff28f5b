"""What every critic in the registry must do, whatever it is."""

import dataclasses
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from robot_policy.checkpoint import load_policy, load_scorer, save_critic
from robot_policy.core.errors import CheckpointError, SpecError
from robot_policy.core.observation import (
    ACTION,
    ENVIRONMENT_STATE,
    STATE,
    Candidates,
    Windows,
    image_key,
)
from robot_policy.core.policy import Scorer
from robot_policy.core.robot import load_robot
from robot_policy.core.specs import ArraySpec, PolicySpec, image_spec
from robot_policy.critics import module as keys
from robot_policy.critics.module import Critic
from robot_policy.critics.registry import CRITICS
from robot_policy.critics.torch_scorer import TorchScorer
from robot_policy.nets.draws import Draws
from robot_policy.nets.language import INSTRUCTION, make_text_encoder
from robot_policy.runtime.guidance.judges import Ensemble
from robot_policy.training.config import PRESETS
from robot_policy.training.pipeline import make_pipeline

SOURCE = load_robot("panda_twin").spec(environment_state=ArraySpec(shape=(3,), names=tuple("xyz")))
SEEING = replace(SOURCE, cameras={"agent view": image_spec(24, 32)})
CPU = torch.device("cpu")
NAMES = list(CRITICS)
SMALL: dict[str, Any] = {"width": 32, "hidden": (32,), "vision_width": 4, "keypoints": 4}


def statistics_for(source: PolicySpec) -> dict[str, dict[str, np.ndarray]]:
    sizes = {STATE: source.state.size, ACTION: source.action.size, ENVIRONMENT_STATE: 3}
    return {
        key: {"min": np.full(size, -2.0), "max": np.full(size, 2.0)} for key, size in sizes.items()
    }


def build(name: str, source: PolicySpec = SOURCE, **options: Any) -> TorchScorer:
    torch.manual_seed(0)
    critic_class: type[Critic[Any]] = CRITICS[name]
    config = replace(critic_class.presets["cpu"], **SMALL, **options)
    module = critic_class.build(config, source)
    pipeline = make_pipeline(module.spec, statistics_for(source), states="min_max")
    text = make_text_encoder("hashing", features=config.text_features)
    return TorchScorer(module, pipeline, text=text, instructions=["a", "b"], name=name, device=CPU)


def windows_for(spec: PolicySpec, *, batch: int) -> Windows:
    rng = np.random.default_rng(0)
    draw = lambda *shape: rng.normal(size=shape).astype(np.float32)  # noqa: E731
    env = spec.environment_state
    return Windows(
        state=draw(batch, spec.history, spec.state.size),
        past=draw(batch, 0, spec.action.size),
        valid=np.ones((batch, spec.history), bool),
        past_valid=np.ones((batch, 0), bool),
        environment_state=None if env is None else draw(batch, spec.history, env.size),
        images={
            name: rng.integers(0, 256, (batch, spec.history, *camera.shape), dtype=np.uint8)
            for name, camera in spec.cameras.items()
        },
        instructions=("a",) * batch,
    )


def candidates_for(spec: PolicySpec, *, batch: int, count: int, seed: int = 1) -> Candidates:
    rng = np.random.default_rng(seed)
    shape = (batch, count, spec.horizon, spec.action.size)
    return Candidates(rng.uniform(-1, 1, shape).astype(np.float32))


def training_batch(spec: PolicySpec, *, size: int) -> dict[str, torch.Tensor]:
    """What is done decides the return: the more of the first entry, the better."""
    generator = torch.Generator().manual_seed(0)
    normal = lambda *shape: torch.randn(shape, generator=generator)  # noqa: E731
    seen = {
        STATE: normal(size, spec.history, spec.state.size),
        ENVIRONMENT_STATE: normal(size, spec.history, 3),
    }
    for camera, image in spec.cameras.items():
        shape = (size, spec.history, *image.shape)
        seen[image_key(camera)] = torch.randint(0, 256, shape, generator=generator).byte()
    chunk = torch.tanh(normal(size, spec.horizon, spec.action.size))
    value = 0.5 + 0.4 * chunk[:, :, 0].mean(1)
    return {
        **seen,
        **{keys.NEXT + key: value_.clone() for key, value_ in seen.items()},
        ACTION: chunk,
        INSTRUCTION: normal(size, 64),
        keys.RETURN: value,
        keys.REWARD: value,
        keys.DISCOUNT: torch.zeros(size),
        keys.COUNT: torch.full((size,), spec.horizon),
        keys.SUCCESS: torch.ones(size),
        # Somebody takes over where the policy would have done the worse of two things.
        keys.INTERVENED: (value > value.median()).float(),
        keys.PROPOSED: -chunk,
        keys.OTHERS: chunk.roll(1, 0)[:, None].repeat(1, keys.OTHER_CHUNKS, 1, 1),
    }


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("length", [{}, {"variable_length": True}], ids=["fixed", "variable"])
def test_it_judges_every_candidate_by_itself(name: str, length: dict[str, Any]) -> None:
    if name in ("support", "contrastive") and length:
        return  # whole chunks only
    scorer = build(name, **length)
    assert isinstance(scorer, Scorer)
    assert isinstance(scorer, Ensemble)
    windows = windows_for(scorer.spec, batch=2)
    candidates = candidates_for(scorer.spec, batch=2, count=5)
    scores = scorer.score(windows, candidates)
    assert scores.shape == (2, 5)
    assert scores.dtype == np.float32
    assert np.isfinite(scores).all()
    alone = scorer.score(windows.row(1), Candidates(candidates.actions[1:, 2:3]))
    np.testing.assert_allclose(alone[0, 0], scores[1, 2], rtol=1e-4, atol=1e-5)
    assert scorer.judge(windows, candidates).shape[1:] == (2, 5)


@pytest.mark.parametrize("name", NAMES)
def test_actions_behind_its_horizon_make_no_difference(name: str) -> None:
    scorer = build(name)
    windows = windows_for(scorer.spec, batch=1)
    judged = candidates_for(scorer.spec, batch=1, count=3)
    longer = Candidates(np.concatenate([judged.actions, judged.actions + 1], axis=2))
    np.testing.assert_array_equal(scorer.score(windows, judged), scorer.score(windows, longer))


@pytest.mark.parametrize("name", NAMES)
def test_chunks_that_are_too_short_are_refused(name: str) -> None:
    scorer = build(name)
    short = Candidates(candidates_for(scorer.spec, batch=1, count=2).actions[:, :, :3])
    with pytest.raises(SpecError, match="8 actions; got 3"):
        scorer.score(windows_for(scorer.spec, batch=1), short)


@pytest.mark.parametrize("name", NAMES)
def test_of_an_unknown_instruction_it_says_nothing(name: str) -> None:
    scorer = build(name)
    windows = replace(windows_for(scorer.spec, batch=2), instructions=("a", "fly"))
    scores = scorer.score(windows, candidates_for(scorer.spec, batch=2, count=2))
    assert np.isfinite(scores[0]).all()
    assert np.isnan(scores[1]).all()


@pytest.mark.parametrize("name", NAMES)
def test_training_lowers_the_loss_and_reaches_every_parameter(name: str) -> None:
    module = build(name).module.train()
    optimizer = torch.optim.AdamW([p for p in module.parameters() if p.requires_grad], lr=2e-3)
    batch = training_batch(module.spec, size=32)
    losses = []
    for step in range(80):
        loss = module.loss(batch, draws=Draws(torch.Generator().manual_seed(step)))
        assert loss.ndim == 0
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        module.after_step()
        losses.append(loss.item())
    assert np.mean(losses[-10:]) < np.mean(losses[:5])
    without = [k for k, p in module.named_parameters() if p.requires_grad and p.grad is None]
    assert without == []


@pytest.mark.parametrize(
    "name", [n for n in NAMES if n not in ("support", "contrastive", "language_reward")]
)
def test_it_learns_which_chunk_is_better(name: str) -> None:
    options: dict[str, Any] = {"preferences": "returns"} if name == "preference" else {}
    scorer = build(name, **options)
    module = scorer.module.train()
    optimizer = torch.optim.AdamW([p for p in module.parameters() if p.requires_grad], lr=2e-3)
    batch = training_batch(module.spec, size=64)
    for step in range(100):
        loss = module.loss(batch, draws=Draws(torch.Generator().manual_seed(step)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        module.after_step()
    module.eval()
    with torch.no_grad():
        judged = module.judge(module.encode(batch), batch[ACTION][:, None]).mean(0)[:, 0]
    returns = batch[keys.RETURN]
    if name == "preference":  # of which only differences within a pair mean something
        judged, returns = judged[0::2] - judged[1::2], returns[0::2] - returns[1::2]
    correlation = np.corrcoef(judged.numpy(), returns.numpy())[0, 1]
    assert correlation > 0.7


@pytest.mark.parametrize("name", NAMES)
def test_it_learns_from_images(name: str) -> None:
    scorer = build(name, SEEING)
    batch = training_batch(scorer.spec, size=4)
    scorer.module.loss(batch, draws=Draws(torch.Generator().manual_seed(0))).backward()
    without = [k for k, p in scorer.module.named_parameters() if p.requires_grad and p.grad is None]
    assert without == []
    windows = windows_for(scorer.spec, batch=1)
    candidates = candidates_for(scorer.spec, batch=1, count=2)
    dark = replace(windows, images={c: np.zeros_like(x) for c, x in windows.images.items()})
    assert not np.array_equal(scorer.score(windows, candidates), scorer.score(dark, candidates))


@pytest.mark.parametrize("name", NAMES)
def test_a_saved_critic_judges_the_same(name: str, tmp_path: Path) -> None:
    """The scaling travels with it: what it was trained with is what it is used with."""
    scorer = build(name)
    save_critic(
        tmp_path / "critic",
        name=name,
        module=scorer.module,
        pipeline=scorer.pipeline,
        statistics=statistics_for(SOURCE),
        weights=scorer.module.state_dict(),
        labels={},
        instructions=scorer.instructions,
        training={},
    )
    loaded = load_scorer(tmp_path / "critic")
    assert (loaded.spec, loaded.name, loaded.instructions) == (scorer.spec, name, ("a", "b"))
    windows = windows_for(scorer.spec, batch=2)
    candidates = candidates_for(scorer.spec, batch=2, count=3)
    np.testing.assert_array_equal(
        loaded.score(windows, candidates), scorer.score(windows, candidates)
    )
    np.testing.assert_allclose(
        loaded.pipeline.invert(loaded.pipeline.apply({ACTION: candidates.actions})[ACTION]),
        candidates.actions,
        atol=1e-6,
    )
    with pytest.raises(CheckpointError, match=r"a critic, which judges actions.*--steer"):
        load_policy(tmp_path / "critic")


@pytest.mark.parametrize("name", NAMES)
def test_its_presets_are_flat_and_json_ready(name: str) -> None:
    assert set(CRITICS[name].presets) == set(PRESETS)
    for preset in CRITICS[name].presets.values():
        for value in dataclasses.asdict(preset).values():
            assert isinstance(value, int | float | str | bool | tuple)
