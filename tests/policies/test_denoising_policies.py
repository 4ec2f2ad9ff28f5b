"""Diffusion, flow and consistency as policies: backbones, guidance, prefixes, distillation."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from robot_policy.core.errors import ConfigError
from robot_policy.core.observation import (
    ACTION,
    ACTION_PREFIX,
    ACTION_PREFIX_WEIGHTS,
    STATE,
    Windows,
)
from robot_policy.core.robot import load_robot
from robot_policy.core.transforms import NormalizationMode, Normalize, Pipeline
from robot_policy.nets.draws import Draws
from robot_policy.nets.unet1d import ConditionalUnet1d
from robot_policy.policies.bc import Bc, BcConfig
from robot_policy.policies.consistency import Consistency, ConsistencyConfig, pseudo_huber
from robot_policy.policies.denoising.flow_guidance import guided
from robot_policy.policies.denoising.flow_process import FlowProcess
from robot_policy.policies.denoising.policy import DenoisingPolicy
from robot_policy.policies.denoising.sampler import Known
from robot_policy.policies.diffusion import Diffusion, DiffusionConfig
from robot_policy.policies.flow import Flow, FlowConfig
from robot_policy.policies.torch_policy import TorchPolicy

SOURCE = load_robot("panda_twin").spec()
SIZE = SOURCE.action.size
TINY = {
    "channels": (8, 16),
    "groups": 4,
    "step_embedding": 8,
    "width": 16,
    "layers": 2,
    "hidden": 16,
    "blocks": 2,
}
KINDS = [(Diffusion, DiffusionConfig), (Flow, FlowConfig), (Consistency, ConsistencyConfig)]


def build(kind, config, **changes) -> DenoisingPolicy:
    torch.manual_seed(0)
    return kind.build(config(**{**TINY, **changes}), SOURCE).eval()


def observations(batch: int, history: int = 2) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(3)
    return {STATE: torch.randn(batch, history, SOURCE.state.size, generator=generator)}


def noise(module: DenoisingPolicy, batch: int, count: int) -> Tensor:
    shape = (batch, count, *module.noise_shape)
    return torch.randn(shape, generator=torch.Generator().manual_seed(4))


def train(module: DenoisingPolicy, batch: dict[str, Tensor], steps: int, lr: float = 2e-3) -> None:
    optimizer = torch.optim.AdamW(module.parameters(), lr=lr)
    draws = Draws(torch.Generator().manual_seed(0))
    module.train()
    for _ in range(steps):
        optimizer.zero_grad()
        module.loss(batch, draws=draws).backward()
        optimizer.step()
    module.eval()


def test_only_a_transformer_spares_parameters_from_decay() -> None:
    assert not build(Diffusion, DiffusionConfig, backbone="unet").no_weight_decay()
    module = build(Diffusion, DiffusionConfig, backbone="transformer", heads=2)
    spared = module.no_weight_decay()
    assert {"backbone.action_position", "backbone.norm.weight", "backbone.head.bias"} <= spared
    assert "backbone.head.weight" not in spared


@pytest.mark.parametrize(("kind", "config"), KINDS)
@pytest.mark.parametrize("backbone", ["unet", "transformer", "mlp"])
def test_every_backbone_learn_with_every_parameter(kind, config, backbone: str) -> None:
    module = build(kind, config, backbone=backbone).train()
    batch = {**observations(3), ACTION: torch.rand(3, 16, SIZE)}
    module.loss(batch, draws=Draws(torch.Generator().manual_seed(0))).backward()
    assert [name for name, p in module.named_parameters() if p.grad is None] == []
    with torch.inference_mode():
        drawn = module.eval().decode(observations(3), noise(module, 3, 4))
    assert drawn.shape == (3, 4, 16, SIZE)


@pytest.mark.parametrize("backbone", ["unet", "transformer", "mlp"])
def test_a_candidate_does_not_depend_on_the_others(backbone: str) -> None:
    module = build(Diffusion, DiffusionConfig, backbone=backbone)
    z = noise(module, 2, 5)
    with torch.inference_mode():
        together = module.decode(observations(2), z)
        alone = module.decode(observations(2), z[:, 2:3])
    torch.testing.assert_close(together[:, 2:3], alone, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("sampler", ["ddim", "ddpm", "dpm_solver"])
@pytest.mark.parametrize("prediction", ["epsilon", "sample", "v"])
def test_every_sampler_serves_every_prediction(sampler: str, prediction: str) -> None:
    module = build(Diffusion, DiffusionConfig, sampler=sampler, prediction=prediction)
    with torch.inference_mode():
        drawn = module.decode(observations(1), noise(module, 1, 2))
        again = module.decode(observations(1), noise(module, 1, 2))
    assert torch.isfinite(drawn).all()
    torch.testing.assert_close(drawn, again, atol=0, rtol=0)
    assert (drawn[:, 0] - drawn[:, 1]).abs().max() > 1e-3


def test_guidance_zero_is_the_conditional_and_more_goes_further() -> None:
    plain = build(Diffusion, DiffusionConfig, condition_dropout=0.2)
    z, seen = noise(plain, 1, 1), observations(1)
    x = torch.randn(1, 1, 16, SIZE)
    guided = Diffusion(replace(plain.config, guidance=1.5), plain.spec).eval()
    guided.load_state_dict(plain.state_dict())
    with torch.inference_mode():
        conditional = plain._network(plain.encode(seen))(x, 50.0)
        hidden = plain._network(plain.hidden_observation.expand(1, -1, -1))(x, 50.0)
        both = guided._predictor(guided.encode(seen))(x, 50.0)
        assert guided.decode(seen, z).shape == plain.decode(seen, z).shape
    torch.testing.assert_close(both, 2.5 * conditional - 1.5 * hidden, atol=1e-5, rtol=1e-4)


def test_hidden_observations_are_as_many_as_asked_for() -> None:
    module = build(Flow, FlowConfig, condition_dropout=0.3)
    with torch.no_grad():
        module.hidden_observation.fill_(7.0)
    encoded = module.encode(observations(400), draws=Draws(torch.Generator().manual_seed(1)))
    assert 0.2 < (encoded == 7.0).all(-1).all(-1).float().mean() < 0.4
    assert not (module.encode(observations(9)) == 7.0).any()


def test_density_selection_draws_more_and_answers_as_many() -> None:
    module = build(Flow, FlowConfig, density_samples=5)
    assert module.noise_shape == (5, 16, SIZE)
    with torch.inference_mode():
        assert module.decode(observations(2), noise(module, 2, 3)).shape == (2, 3, 16, SIZE)


def seen_by(batch: int) -> Windows:
    return Windows(
        state=observations(batch)[STATE].numpy(),
        past=np.zeros((batch, 1, SIZE), np.float32),
        valid=np.ones((batch, 2), bool),
        past_valid=np.ones((batch, 1), bool),
        instructions=("",) * batch,
    )


@pytest.mark.parametrize(("kind", "config"), KINDS[:2])
def test_a_chunk_begins_with_the_prefix_in_the_robots_units(kind, config) -> None:
    module = build(kind, config)
    assert module.spec.joins_prefix
    scale = np.linspace(0.1, 0.5, SIZE).astype(np.float32)
    pipeline = Pipeline([Normalize(ACTION, NormalizationMode.MIN_MAX, 0.1 + scale, scale)])
    policy = TorchPolicy(module, pipeline, device=torch.device("cpu"))
    windows = replace(
        seen_by(2),
        prefix=np.random.default_rng(0).uniform(0.1, 0.3, (2, 4, SIZE)).astype(np.float32),
    )
    drawn = policy.sample(windows, num_samples=3, generator=np.random.default_rng(1))
    assert windows.prefix is not None
    expected = np.broadcast_to(windows.prefix[:, None], (2, 3, 4, SIZE))
    np.testing.assert_allclose(drawn.actions[:, :, :4], expected, atol=1e-6)
    free = policy.sample(
        replace(windows, prefix=None), num_samples=3, generator=np.random.default_rng(1)
    )
    assert np.abs(free.actions - drawn.actions)[:, :, 4:].max() > 1e-4


@pytest.mark.parametrize(("kind", "config"), KINDS[:2])
def test_a_chunk_stays_closer_to_its_prefix_the_more_binding_it_is(kind, config) -> None:
    policy = TorchPolicy(build(kind, config), Pipeline([]), device=torch.device("cpu"))
    rng = np.random.default_rng(0)
    prefix = rng.uniform(-0.6, 0.6, (2, 12, SIZE)).astype(np.float32)
    windows = replace(seen_by(2), prefix=prefix)

    def distance(weight: float) -> float:
        weights = np.full((2, 12), weight, np.float32)
        weights[:, :3] = 1.0
        drawn = policy.sample(
            replace(windows, prefix_weights=weights),
            num_samples=2,
            generator=np.random.default_rng(1),
        ).actions
        expected = np.broadcast_to(prefix[:, None, :3], (2, 2, 3, SIZE))
        np.testing.assert_allclose(drawn[:, :, :3], expected, atol=1e-6)
        return float(np.abs(drawn[:, :, 3:12] - prefix[:, None, 3:]).mean())

    distances = [distance(weight) for weight in (0.0, 0.3, 0.9)]
    assert distances == sorted(distances, reverse=True)
    assert distances[-1] < 0.7 * distances[0]


@pytest.mark.parametrize(("kind", "config"), KINDS[:2])
def test_open_actions_of_a_prefix_have_no_effect(kind, config) -> None:
    """So rows with prefixes of different lengths, or none, can share a batch."""
    policy = TorchPolicy(build(kind, config), Pipeline([]), device=torch.device("cpu"))
    prefix = np.random.default_rng(0).uniform(-0.6, 0.6, (1, 4, SIZE)).astype(np.float32)
    bound, free = replace(seen_by(1), prefix=prefix), seen_by(1)

    def draw(windows: Windows) -> np.ndarray:
        rngs = [np.random.default_rng(i) for i in range(windows.batch_size)]
        return policy.sample(windows, num_samples=2, generator=rngs).actions

    together = draw(Windows.concatenate([bound, free]))
    np.testing.assert_allclose(together[0], draw(bound)[0], atol=1e-5)
    alone = draw(Windows.concatenate([free, free]))
    np.testing.assert_allclose(together[1], alone[1], atol=1e-5)


def test_the_velocity_is_guided_as_in_the_paper() -> None:
    """One Euler step of a linear flow, v = c x: the gradient is known in closed form."""
    c, s, steps = 0.4, 0.5, 2
    x = torch.randn(1, 1, 16, SIZE)
    known = Known(torch.rand(1, 16, SIZE), torch.zeros(1, 1, 16, 1, dtype=torch.bool))
    known = replace(known, weights=torch.linspace(1, 0, 16)[None, None, :, None])
    velocity = guided(lambda x, time: c * x, known, largest_gain=1.5)
    leads_to = x * (1 + (1 - s) * c)
    r2 = (1 - s) ** 2 / (s**2 + (1 - s) ** 2)
    gain = min(1.5, (1 - s) / (s * r2))
    pull = (1 + (1 - s) * c) * known.weights * (known.actions[:, None] - leads_to)
    expected = c * x + gain * pull
    time = FlowProcess(steps=steps).network_time(1)
    torch.testing.assert_close(velocity(x, time), expected)
    assert not velocity(x, 0.0).requires_grad


def test_a_flow_without_prefix_guidance_heeds_what_is_decided_alone() -> None:
    module = build(Flow, FlowConfig, prefix_guidance=0.0)
    prefix, weights = torch.rand(1, 6, SIZE), torch.tensor([[1.0, 1.0, 0.9, 0.5, 0.2, 0.0]])
    seen, z = observations(1), noise(module, 1, 1)
    with torch.no_grad():
        soft = {ACTION_PREFIX: prefix, ACTION_PREFIX_WEIGHTS: weights}
        drawn = module.decode({**seen, **soft}, z)
        hard = module.decode({**seen, ACTION_PREFIX: prefix[:, :2]}, z)
    torch.testing.assert_close(drawn, hard)


def test_a_prefix_longer_than_the_chunk_is_cut() -> None:
    module = build(Flow, FlowConfig)
    prefix = torch.rand(1, 40, SIZE)
    with torch.inference_mode():
        drawn = module.decode({**observations(1), ACTION_PREFIX: prefix}, noise(module, 1, 1))
    torch.testing.assert_close(drawn[0, 0, 1:], prefix[0, :15])


def test_a_student_takes_window_and_network_of_its_teacher() -> None:
    teacher = build(Diffusion, DiffusionConfig, history=3, prediction="v", backbone="transformer")
    config = Consistency.config_for(ConsistencyConfig(teacher="runs/t"), teacher)
    student = Consistency.build(config, SOURCE).learn_from(teacher)
    assert (config.teacher, config.history, config.backbone) == ("runs/t", 3, "transformer")
    assert student.spec.history == 3
    assert student.state_dict().keys() == teacher.state_dict().keys()
    with pytest.raises(ConfigError, match="only a diffusion policy"):
        Consistency.config_for(ConsistencyConfig(teacher="x"), Bc.build(BcConfig(), SOURCE))


@pytest.mark.parametrize("teacher_steps", [1, 3, 10])
def test_a_student_that_answers_as_its_teacher_would_has_nothing_to_learn(
    teacher_steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A teacher that says the same chunk from everywhere: its path ends there, from any level."""
    chunk = torch.rand(1, 16, SIZE) - 0.5
    teacher = build(Diffusion, DiffusionConfig, prediction="sample")
    made = ConsistencyConfig(teacher="x", teacher_steps=teacher_steps, prediction="sample")
    config = Consistency.config_for(made, teacher)
    assert config.teacher_steps == teacher_steps
    student = Consistency.build(config, SOURCE).learn_from(teacher)
    answers = {id(teacher.backbone): chunk, id(student.backbone): chunk}
    monkeypatch.setattr(
        ConditionalUnet1d,
        "forward",
        lambda self, x, times, condition: answers[id(self)].expand_as(x),
    )
    batch = {**observations(64), ACTION: torch.rand(64, 16, SIZE) * 2 - 1}
    loss = student.loss(batch, draws=Draws(torch.Generator().manual_seed(0)))
    assert float(loss) == pytest.approx(0.0, abs=1e-5)
    answers[id(student.backbone)] = chunk + 0.1
    loss = student.loss(batch, draws=Draws(torch.Generator().manual_seed(0)))
    assert float(loss) > 0.01


@pytest.mark.slow
def test_one_step_of_the_student_goes_where_all_steps_of_the_teacher_go() -> None:
    """Two ways to do it: from the same noise both must choose the same one."""
    seen = {STATE: torch.zeros(32, 1, SOURCE.state.size)}
    sides = torch.tensor([-0.6, 0.6]).repeat(16)[:, None, None].expand(-1, 4, SIZE)
    sizes = {"history": 1, "prediction_length": 4, "channels": (16, 32), "step_embedding": 32}
    teacher = build(Diffusion, DiffusionConfig, prediction="v", **sizes)
    train(teacher, {**seen, ACTION: sides}, 600, lr=4e-3)
    config = Consistency.config_for(ConsistencyConfig(teacher="x"), teacher)
    student = Consistency.build(config, SOURCE).learn_from(teacher)
    one = {STATE: seen[STATE][:1]}
    z = noise(student, 1, 64)
    with torch.inference_mode():
        wanted = teacher.decode(one, z).mean((2, 3))
        before = student.decode(one, z).mean((2, 3))
    train(student, {**seen, ACTION: sides}, 400, lr=2e-3)
    with torch.inference_mode():
        after = student.decode(one, z).mean((2, 3))
    # Between the two the teacher is undecided, and a network's last bits decide for it.
    sure = wanted.abs() > 0.3
    assert sure.float().mean() > 0.7
    assert (after.sign() == wanted.sign())[sure].float().mean() > 0.9
    assert (after - wanted).abs().mean() < 0.5 * (before - wanted).abs().mean()


def test_pseudo_huber_is_a_distance_that_grows_linearly() -> None:
    a = torch.zeros(2, 16, SIZE)
    assert pseudo_huber(a, a) == 0
    far, farther = (pseudo_huber(a, torch.full_like(a, d)) for d in (1.0, 2.0))
    assert farther / far == pytest.approx(2.0, rel=1e-2)


def continuing(kind, config, **changes) -> DenoisingPolicy:
    return build(kind, config, prefix_training=6, **changes)


@pytest.mark.parametrize(("kind", "config"), KINDS[:2])
@pytest.mark.parametrize("backbone", ["unet", "transformer", "mlp"])
def test_what_training_shows_as_decided_does_not_count(kind, config, backbone) -> None:
    module = continuing(kind, config, backbone=backbone, heads=2)
    draws = Draws(torch.Generator().manual_seed(0))
    clean = torch.rand(64, 16, SIZE)
    decided = module.decided_beginning(clean, draws)
    assert decided is not None
    counts = decided[..., 0].sum(1)
    assert set(counts.tolist()) == set(range(7)), "every delay is met"
    past, from_now_on = decided[:, :1], decided[:, 1:, 0]
    assert not past.any()
    expected = torch.arange(15)[None] < counts[:, None]
    assert torch.equal(from_now_on, expected), "what is decided comes first"
    wrong = torch.where(decided, 100.0, clean)
    loss = module.regression(wrong, clean, {}, decided)
    torch.testing.assert_close(loss, torch.tensor(0.0))
    assert module.loss({**observations(64), ACTION: clean}, draws=draws).isfinite()


@pytest.mark.parametrize(("kind", "config"), KINDS[:2])
def test_a_network_trained_for_it_continues_what_is_under_way(kind, config) -> None:
    """There are two ways to go, and only the actions under way tell which one was begun."""
    module = continuing(kind, config, history=1, prediction_length=8)
    sides = torch.tensor([-0.6, 0.6]).repeat(16)[:, None, None]
    seen = {STATE: torch.zeros(32, 1, SOURCE.state.size)}
    train(module, {**seen, ACTION: sides.expand(-1, 8, SIZE)}, steps=250, lr=4e-3)
    with torch.inference_mode():
        prefix = sides.expand(-1, 4, SIZE)
        drawn = module.decode({**seen, ACTION_PREFIX: prefix}, noise(module, 32, 1))[:, 0]
    torch.testing.assert_close(drawn[:, :4], prefix)
    off = (drawn[:, 4:].mean((1, 2)) - sides[:, 0, 0]).abs()
    assert float(off.max()) < 0.6, "all go on to the side that they began"
    assert float(off.mean()) < 0.2


@pytest.mark.parametrize(("kind", "config"), KINDS[:2])
def test_a_trained_prefix_is_heeded_where_it_is_decided_alone(kind, config) -> None:
    module = continuing(kind, config)
    prefix, weights = torch.rand(1, 6, SIZE), torch.tensor([[1.0, 1.0, 0.9, 0.5, 0.2, 0.0]])
    seen, z = observations(1), noise(module, 1, 2)
    with torch.no_grad():
        soft = {ACTION_PREFIX: prefix, ACTION_PREFIX_WEIGHTS: weights}
        drawn = module.decode({**seen, **soft}, z)
        hard = module.decode({**seen, ACTION_PREFIX: prefix[:, :2]}, z)
        nothing = {ACTION_PREFIX: prefix, ACTION_PREFIX_WEIGHTS: torch.zeros(1, 6)}
        free, alone = module.decode({**seen, **nothing}, z), module.decode(seen, z)
    torch.testing.assert_close(drawn, hard)
    torch.testing.assert_close(free, alone)


def test_guidance_and_a_trained_prefix_go_together() -> None:
    module = continuing(Diffusion, DiffusionConfig, condition_dropout=0.1, guidance=1.0)
    prefix = torch.rand(2, 3, SIZE)
    with torch.inference_mode():
        told = {**observations(2), ACTION_PREFIX: prefix}
        drawn = module.decode(told, noise(module, 2, 3))
    assert drawn.shape == (2, 3, 16, SIZE)
    torch.testing.assert_close(drawn[:, 1, 1:4], prefix)


def test_a_prefix_as_long_as_the_chunk_cannot_be_trained() -> None:
    with pytest.raises(ConfigError, match=r"prefix_training and prediction_length: .*0 \.\. 14"):
        DiffusionConfig(prefix_training=15)


def test_a_teacher_that_continues_prefixes_has_no_one_step_student() -> None:
    teacher = continuing(Diffusion, DiffusionConfig)
    with pytest.raises(ConfigError, match="prefix_training"):
        Consistency.config_for(ConsistencyConfig(teacher="x"), teacher)
    with pytest.raises(ConfigError, match="prefix_training: a consistency policy has none"):
        ConsistencyConfig(prefix_training=2)
