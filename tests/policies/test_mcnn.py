"""Memories, the blend, and the bound that holds whatever the weights."""

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor

from robot_policy.core.errors import ConfigError
from robot_policy.core.observation import ACTION, EPISODE, STATE
from robot_policy.core.robot import load_robot
from robot_policy.export.artefact import largest_difference
from robot_policy.export.onnx_graph import write_graph
from robot_policy.nets.draws import Draws
from robot_policy.nets.memory_bank import MemoryBank, leave_one_out
from robot_policy.nets.memory_choice import CHOICES
from robot_policy.policies.mcnn import BACKBONES, Mcnn, McnnConfig
from robot_policy.runtime.exported_policy import Graph

SOURCE = load_robot("panda_twin").spec()
SIZE = SOURCE.action.size
_DENOISING = ("history=1", "prediction_length=4", "sample_steps=2", "temperature=0.5")
SMALL = {
    "bc": ("history=1", "horizon=4", "hidden=16"),
    "diffusion": (*_DENOISING, "backbone=mlp", "hidden=16", "blocks=1"),
    "flow": (*_DENOISING, "backbone=unet", "channels=8,16"),
    "past_token": (*_DENOISING, "backbone=transformer", "width=16", "layers=1"),
}
TRANSFORMER = ("history=1", "horizon=4", "network=transformer", "width=16", "layers=1")


def build(**changes) -> Mcnn:
    torch.manual_seed(0)
    options = SMALL[changes.get("backbone", "bc")]
    return Mcnn.build(McnnConfig(**{"backbone_options": options, **changes}), SOURCE)


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


@pytest.mark.parametrize("backbone", BACKBONES)
@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 1000), scale=st.floats(0.1, 50.0), rate=st.floats(0.01, 20.0))
def test_the_width_bound_holds_for_any_network(
    backbone: str, seed: int, scale: float, rate: float
) -> None:
    """|f - a(m)| <= 2 L (1 - e^{-lambda d}), with L = 1 (lemma 4.3)."""
    module = build(backbone=backbone).eval()
    module.memorise(windows(40), seed=seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        module.rate.fill_(rate)
        for parameter in module.backbone.parameters():
            parameter.copy_(scale * torch.randn(parameter.shape, generator=generator))
    batch = without_episode(windows(12, seed=seed + 1))
    batch[STATE][:4] = windows(40)[STATE][:4]  # some that are remembered, or nearly
    with torch.no_grad():
        chunks = module.decode(batch, torch.randn(12, 2, *module.noise_shape, generator=generator))
    # Weights as large as these may overflow in some network; nothing bounds NaN, which the runtime
    # refuses.
    assume(bool(chunks.isfinite().all()))
    distance, index = module.bank.nearest(batch[STATE].flatten(1))
    width = 2.0 * (1.0 - torch.exp(-rate * distance))
    torch.testing.assert_close(module.recall(batch)[1], torch.exp(-rate * distance))
    away = (chunks - module.bank.chunks[index][:, None]).abs().amax((2, 3))
    assert (away <= width[:, None] + 1e-5).all()
    assert chunks.abs().max() <= 1.0 + 1e-6


@pytest.mark.parametrize("loss", ["l1", "l2"])
def test_the_backbone_learns_what_the_blended_answer_lacks(loss: str) -> None:
    """Its loss is the error of the blended chunk wherever the clip does nothing."""
    module, seen = build(backbone_options=(*SMALL["bc"], f"loss={loss}")), windows(40)
    seen[ACTION] = 0.2 * seen[ACTION]
    module.memorise(seen, seed=0)
    module.rate.fill_(1.0)
    chunk, weight = module.recall(seen)
    own = module.backbone({**seen})
    blended = weight[:, None, None] * chunk + (1.0 - weight[:, None, None]) * own
    error = (blended - seen[ACTION]).abs() if loss == "l1" else (blended - seen[ACTION]) ** 2
    torch.testing.assert_close(module.loss(seen, draws=Draws(torch.Generator())), error.mean())


def test_on_a_memory_it_does_what_was_done_there() -> None:
    module, seen = build(memories=1.0, choice="random"), windows(20)
    module.memorise(seen, seed=0)
    chunk = module.decode(without_episode(seen), torch.zeros(20, 3))
    torch.testing.assert_close(chunk[:, 2], seen[ACTION])


def test_in_training_no_window_finds_its_own_episode() -> None:
    module, seen = build(memories=1.0, choice="random"), windows(20)
    module.memorise(seen, seed=0)
    _, index = module.bank.nearest(seen[STATE].flatten(1), without=seen[EPISODE])
    assert (module.bank.episodes[index] != seen[EPISODE]).all()
    _, weight = module.recall(seen)
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
    module.loss(seen, draws=Draws(torch.Generator())).backward()
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
    noise = torch.zeros(8, 1)
    torch.testing.assert_close(loaded.decode(batch, noise), trained.decode(batch, noise))
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


def test_the_controls_blend_nothing() -> None:
    for memory, size in (("input", 4 * SIZE + 1), ("none", 0)):
        module, seen = build(memory=memory), windows(60)
        module.memorise(seen, seed=0)
        with torch.no_grad():
            for parameter in module.backbone.parameters():
                parameter.zero_()
        assert not module.decode(seen, torch.zeros(60, 1)).any()
        assert module.backbone.spec.state.size == SOURCE.state.size + size


def test_without_memory_it_is_its_backbone() -> None:
    module, seen = build(memory="none"), windows(20)
    module.memorise(seen, seed=0)
    draws = [Draws(torch.Generator().manual_seed(0)) for _ in range(2)]
    alone = module.backbone.loss(seen, draws=draws[0])
    torch.testing.assert_close(module.loss(seen, draws=draws[1]), alone)
    assert not len(module.bank)


@pytest.mark.parametrize("options", [SMALL["bc"], TRANSFORMER])
def test_it_learns_over_networks_of_either_kind(options: tuple[str, ...]) -> None:
    module, seen = build(backbone_options=options), windows(60)
    module.memorise(seen, seed=0)
    draws = Draws(torch.Generator().manual_seed(0))
    optimizer = torch.optim.Adam(module.parameters(), lr=1e-2)
    losses = []
    for _ in range(40):
        loss = module.loss(seen, draws=draws)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.95 * losses[0]
    assert 0.0 < module.figures()["memory_weight"] < 1.0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"memories": 0.0}, "memories"),
        ({"weight_at_quantile": 1.0}, "lambda would be 0"),
        ({"distance_quantile": 1.5}, "distance_quantile"),
        ({"choice": "kmeans"}, "neural_gas"),
        ({"backbone": "retrieval"}, "unknown backbone 'retrieval'; valid: bc, diffusion"),
        ({"backbone_preset": "tpu"}, "unknown preset 'tpu'; valid: cpu, gpu"),
        ({"backbone_options": ("hiden=3",)}, "unknown hyper-parameter 'hiden'"),
        ({"backbone_options": ("history=two",)}, "--policy.backbone-options history"),
    ],
)
def test_wrong_settings(changes: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        McnnConfig(**changes)


def test_an_empty_bank_leaves_the_network_alone() -> None:
    assert len(MemoryBank(3, (4, SIZE))) == 0
    module, batch = build(), without_episode(windows(3))
    chunk = module.decode(batch, torch.zeros(3, 1))[:, 0]
    torch.testing.assert_close(chunk, module.backbone(batch).clamp(-1.0, 1.0))
    assert not module.recall(batch)[1].any()
