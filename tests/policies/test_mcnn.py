"""Memories, the blend, and the bound that holds whatever the weights."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from robot_policy.core.errors import ConfigError
from robot_policy.core.observation import ACTION, EPISODE, STATE
from robot_policy.core.robot import load_robot
from robot_policy.export.artefact import largest_difference
from robot_policy.export.onnx_graph import write_graph
from robot_policy.nets.memory_bank import MemoryBank, leave_one_out
from robot_policy.nets.memory_choice import CHOICES
from robot_policy.policies.mcnn import Mcnn, McnnConfig
from robot_policy.runtime.exported_policy import Graph

SOURCE = load_robot("panda_twin").spec()
SIZE = SOURCE.action.size


def build(**changes) -> Mcnn:
    torch.manual_seed(0)
    config = McnnConfig(**{"history": 1, "horizon": 4, "hidden": (16,), **changes})
    return Mcnn.build(config, SOURCE)


def windows(rows: int, *, seed: int = 0, episodes: int = 5) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        STATE: torch.randn(rows, 1, SOURCE.state.size, generator=generator),
        ACTION: torch.rand(rows, 4, SIZE, generator=generator) * 2 - 1,
        EPISODE: torch.arange(rows) % episodes,
        "action_is_pad": torch.zeros(rows, 4, dtype=torch.bool),
    }


def without_episode(batch: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key: value for key, value in batch.items() if key != EPISODE}


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), scale=st.floats(0.1, 50.0), rate=st.floats(0.01, 20.0))
def test_the_width_bound_holds_for_any_network(seed: int, scale: float, rate: float) -> None:
    """|f - a(m)| <= 2 L (1 - e^{-lambda d}), with L = 1 (lemma 4.3)."""
    module = build()
    module.memorise(windows(40), seed=seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        module.rate.fill_(rate)
        for parameter in module.net.parameters():
            parameter.copy_(scale * torch.randn(parameter.shape, generator=generator))
    batch = without_episode(windows(12, seed=seed + 1))
    batch[STATE][:4] = windows(40)[STATE][:4]  # some that are remembered, or nearly
    chunk, weight = module(batch)
    distance, index = module.bank.nearest(batch[STATE].flatten(1))
    width = 2.0 * (1.0 - torch.exp(-rate * distance))
    torch.testing.assert_close(weight, torch.exp(-rate * distance))
    away = (chunk - module.bank.chunks[index]).abs().amax((1, 2))
    assert (away <= width + 1e-5).all()
    assert chunk.abs().max() <= 1.0 + 1e-6


def test_on_a_memory_it_does_what_was_done_there() -> None:
    module, seen = build(memories=1.0, choice="random"), windows(20)
    module.memorise(seen, seed=0)
    # The distance of a point to itself is not quite zero in float32.
    chunk = module.decode(without_episode(seen), torch.zeros(20, 3))
    torch.testing.assert_close(chunk[:, 2], seen[ACTION], atol=5e-3, rtol=0)


def test_in_training_no_window_finds_its_own_episode() -> None:
    module, seen = build(memories=1.0, choice="random"), windows(20)
    module.memorise(seen, seed=0)
    _, index = module.bank.nearest(seen[STATE].flatten(1), without=seen[EPISODE])
    assert (module.bank.episodes[index] != seen[EPISODE]).all()
    _, weight = module(seen)
    assert weight.max() < 0.999


def test_lambda_gives_the_weight_that_was_asked_for() -> None:
    module, seen = build(weight_at_quantile=0.3, distance_quantile=0.5), windows(200)
    module.memorise(seen, seed=0)
    distances = leave_one_out(seen[STATE].flatten(1), seen[EPISODE], module.bank)
    assert float(torch.exp(-module.rate * distances.median())) == pytest.approx(0.3, abs=0.01)


def test_gradients_vanish_where_a_memory_decides() -> None:
    module, seen = build(memories=1.0, choice="random"), windows(20)
    module.memorise(seen, seed=0)
    module.rate.fill_(1e-9)
    module.loss(seen, draws=None).backward()  # pyright: ignore[reportArgumentType]
    largest = max(float(p.grad.abs().max()) for p in module.parameters() if p.grad is not None)
    assert largest < 1e-6


@pytest.mark.parametrize("name", list(CHOICES))
def test_memories_are_different_and_repeatable(name: str) -> None:
    keys = torch.randn(300, 6, generator=torch.Generator().manual_seed(1))
    chosen = CHOICES[name](keys, 30, torch.Generator().manual_seed(2))
    assert len(chosen.unique()) == 30
    torch.testing.assert_close(chosen, CHOICES[name](keys, 30, torch.Generator().manual_seed(2)))


@pytest.mark.parametrize("name", ["neural_gas", "farthest"])
def test_chosen_memories_cover_better_than_random_ones(name: str) -> None:
    """Two crowds and a few stragglers: of random ones all may lie in the crowds."""
    generator = torch.Generator().manual_seed(3)
    crowds = torch.randn(400, 3, generator=generator) * 0.05
    crowds[200:] += 3.0
    stragglers = torch.randn(12, 3, generator=generator) * 4.0
    keys = torch.cat([crowds, stragglers])

    def error(which: str) -> float:
        chosen = CHOICES[which](keys, 16, torch.Generator().manual_seed(4))
        return float(torch.cdist(keys, keys[chosen]).min(1).values.square().mean())

    assert error(name) < 0.7 * error("random")


def test_a_checkpoint_brings_its_memories() -> None:
    trained, loaded = build(), build()
    trained.memorise(windows(50), seed=0)
    loaded.load_state_dict(trained.state_dict())
    batch = without_episode(windows(8, seed=9))
    torch.testing.assert_close(loaded(batch)[0], trained(batch)[0])
    assert len(loaded.bank) == 5


def test_it_is_exported_with_its_memories(tmp_path) -> None:
    module = build().eval()
    module.memorise(windows(50), seed=0)
    interface = write_graph(module, tmp_path / "model.onnx", candidates=None)
    graph = Graph(tmp_path / "model.onnx", interface, threads=1)
    assert largest_difference(module, graph, ((1, 1), (3, 2))) < 1e-4


def test_too_many_memories_are_refused_with_their_size() -> None:
    module = build(memories=1.0, most_megabytes=0.01)
    with pytest.raises(ConfigError, match=r"200 memories would take 0\.\d+ MB"):
        module.memorise(windows(200), seed=0)


def test_the_control_sees_the_neighbour_and_blends_nothing() -> None:
    module, seen = build(neighbour_as_input=True), windows(60)
    module.memorise(seen, seed=0)
    with torch.no_grad():
        for parameter in module.net.parameters():
            parameter.zero_()
    chunk, weight = module(seen)
    assert not chunk.any()
    assert weight.min() > 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"memories": 0.0}, "memories"),
        ({"weight_at_quantile": 1.0}, "lambda would be 0"),
        ({"distance_quantile": 1.5}, "distance_quantile"),
        ({"choice": "kmeans"}, "neural_gas"),
    ],
)
def test_wrong_settings(changes: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        McnnConfig(**changes)


def test_an_empty_bank_leaves_the_network_alone() -> None:
    bank = MemoryBank(3, (4, SIZE))
    assert len(bank) == 0
    chunk, weight = build()(without_episode(windows(3)))
    assert chunk.shape == (3, 4, SIZE)
    assert not weight.any()
    assert math.isfinite(float(np.abs(chunk.detach().numpy()).max()))
