"""The diffusion policy against its equations."""

import numpy as np
import pytest
import torch

from robot_policy.core.errors import ConfigError
from robot_policy.core.observation import ACTION, STATE
from robot_policy.core.robot import load_robot
from robot_policy.nets.draws import Draws
from robot_policy.nets.unet1d import ConditionalUnet1d, SinusoidalEmbedding
from robot_policy.policies.diffusion import Diffusion, DiffusionConfig

SOURCE = load_robot("panda_twin").spec()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"prediction_length": 15}, "multiple of 2"),
        ({"history": 20}, "at least the history"),
        ({"sample_steps": 101}, r"1 \.\. 100"),
        ({"groups": 7}, "groups must divide"),
        ({"kernel": 4}, "odd"),
    ],
)
def test_contradictions_are_refused(change: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Diffusion.build(DiffusionConfig(**change), SOURCE)


def test_the_window_begins_at_the_first_observation() -> None:
    spec = Diffusion.complete_spec(DiffusionConfig(history=3), SOURCE)
    assert (spec.history, spec.past, spec.horizon) == (3, 2, 14)


@pytest.mark.parametrize("length", [4, 8, 16])
@pytest.mark.parametrize("channels", [(8,), (8, 16), (8, 16, 24)])
def test_the_unet_keeps_the_shape(length: int, channels: tuple[int, ...]) -> None:
    net = ConditionalUnet1d(3, 5, channels=channels, kernel=3, groups=4, step_embedding=8)
    assert length % net.shortest_length == 0
    out = net(torch.randn(2, length, 3), torch.tensor([0, 7]), torch.randn(2, 1, 5))
    assert out.shape == (2, length, 3)


def test_prepared_observations_give_the_same() -> None:
    net = ConditionalUnet1d(3, 10, channels=(8, 16), kernel=3, groups=4, step_embedding=8)
    actions, condition = torch.randn(6, 8, 3), torch.randn(6, 2, 5)
    prepared = net.prepare(condition)
    step = torch.tensor([5])
    expected = net(actions, step.expand(6), condition)
    torch.testing.assert_close(net.denoise(actions, step, prepared), expected)


def test_every_step_has_its_own_embedding() -> None:
    embedding = SinusoidalEmbedding(16)(torch.arange(100))
    distances = torch.cdist(embedding, embedding) + 10 * torch.eye(100)
    assert distances.min() > 1e-2


@pytest.mark.parametrize(
    ("prediction", "steps"),
    [
        pytest.param("sample", 400, marks=pytest.mark.slow),
        pytest.param("epsilon", 1500, marks=pytest.mark.slow),
    ],
)
def test_it_learns_two_ways_and_draws_both(prediction: str, steps: int) -> None:
    """Half of the demonstrations go left and half right; the mean of both would go nowhere."""
    torch.manual_seed(0)
    config = DiffusionConfig(
        history=1, prediction_length=4, channels=(32, 64), step_embedding=32, prediction=prediction
    )
    module = Diffusion.build(config, SOURCE)
    optimizer = torch.optim.AdamW(module.parameters(), lr=2e-3)
    draws = Draws(torch.Generator().manual_seed(0))
    sides = torch.tensor([-0.6, 0.6]).repeat(32)[:, None, None]
    batch = {
        STATE: torch.zeros(64, 1, SOURCE.state.size),
        ACTION: sides.expand(-1, 4, SOURCE.action.size),
    }
    for _ in range(steps):
        loss = module.loss(batch, draws=draws)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.inference_mode():
        drawn = module.eval().sample(
            {STATE: torch.zeros(1, 1, SOURCE.state.size)},
            num_samples=64,
            generators=[np.random.default_rng(0)],
        )
    means = drawn[0].mean(dim=(1, 2)).numpy()
    assert np.abs(np.abs(means) - 0.6).mean() < 0.15
    assert 0.2 < (means > 0).mean() < 0.8
