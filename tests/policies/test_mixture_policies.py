"""The policies with a mixture output against what their names promise."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from robot_policy.core.errors import ConfigError
from robot_policy.core.observation import ACTION, OBSERVATION_IS_PAD, STATE
from robot_policy.core.robot import load_robot
from robot_policy.nets.draws import Draws
from robot_policy.nets.mixture import GaussianMixture
from robot_policy.policies.bc_gmm import BcGmm, BcGmmConfig
from robot_policy.policies.bc_lstm_gmm import BcLstmGmm, BcLstmGmmConfig
from robot_policy.policies.mixture_policy import MixturePolicy

SOURCE = load_robot("panda_twin").spec()
DRAWS = Draws(torch.Generator())


def build(name: str, **changes: object) -> MixturePolicy[Any]:
    torch.manual_seed(0)
    if name == "bc_gmm":
        config = BcGmmConfig(history=2, horizon=4, hidden=(32,), modes=2)
        return BcGmm.build(replace(config, **changes), SOURCE)  # pyright: ignore[reportArgumentType]
    config = BcLstmGmmConfig(history=5, recurrent_width=24, modes=2)
    return BcLstmGmm.build(replace(config, **changes), SOURCE)  # pyright: ignore[reportArgumentType]


def batch_for(module: MixturePolicy[Any], *, rows: int = 3) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)
    spec = module.spec
    length = spec.past + spec.horizon
    return {
        STATE: torch.randn(rows, spec.history, spec.state.size, generator=generator),
        OBSERVATION_IS_PAD: torch.zeros(rows, spec.history, dtype=torch.bool),
        ACTION: torch.rand(rows, length, spec.action.size, generator=generator) * 2 - 1,
        "action_is_pad": torch.zeros(rows, length, dtype=torch.bool),
    }


def test_a_recurrent_policy_needs_a_sequence() -> None:
    with pytest.raises(ConfigError, match=r"history.*recurrent_layers 2.*at least 2; got 1"):
        build("bc_lstm_gmm", history=1)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("bc_gmm", {"modes": 0}, "modes: must be positive"),
        ("bc_gmm", {"least_std": 0.0}, "least_std"),
        ("bc_lstm_gmm", {"recurrent_layers": 0}, "recurrent_layers"),
        ("bc_lstm_gmm", {"recurrent_width": 0}, "recurrent_width"),
    ],
)
def test_what_does_not_suit_is_refused(name: str, change: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build(name, **change)


def test_the_window_of_a_recurrent_policy() -> None:
    spec = build("bc_lstm_gmm").spec
    assert (spec.history, spec.past, spec.horizon) == (5, 4, 1)


def test_a_recurrent_policy_learns_from_every_step() -> None:
    module = build("bc_lstm_gmm")
    batch = batch_for(module)
    outputs = module.outputs(batch)
    assert outputs.shape[:2] == (3, 5)
    whole = module.loss(batch, draws=DRAWS)
    density = module.mixture(batch).log_density(batch[ACTION])
    torch.testing.assert_close(whole, -density.mean())


def test_a_recurrent_policy_sees_no_future() -> None:
    module = build("bc_lstm_gmm")
    batch = batch_for(module, rows=1)
    batch[STATE].requires_grad_()
    for step in range(5):
        (gradient,) = torch.autograd.grad(module.outputs(batch)[0, step].sum(), batch[STATE])
        assert (gradient[0].abs().sum(-1) > 0).tolist() == [s <= step for s in range(5)]


@pytest.mark.parametrize("padding", [1, 3, 4])
def test_the_state_starts_with_the_episode(padding: int) -> None:
    """Padded observations change nothing; the others are answered as if they came first."""
    module = build("bc_lstm_gmm")
    batch = batch_for(module)
    states = batch[STATE]
    padded = batch | {STATE: states.clone(), OBSERVATION_IS_PAD: torch.arange(5)[None] < padding}
    padded[OBSERVATION_IS_PAD] = padded[OBSERVATION_IS_PAD].expand(3, -1)
    padded[STATE][:, :padding] = 99.0
    first = batch | {STATE: torch.cat([states[:, padding:], states[:, :padding]], dim=1)}
    torch.testing.assert_close(
        module.outputs(padded)[:, padding:], module.outputs(first)[:, : 5 - padding]
    )


@pytest.mark.parametrize("name", ["bc_gmm", "bc_lstm_gmm"])
def test_padded_steps_are_not_learned(name: str) -> None:
    module = build(name)
    batch = batch_for(module)
    batch["action_is_pad"][:, 0] = True
    other = batch | {ACTION: batch[ACTION].clone()}
    other[ACTION][:, 0] = 0.9
    torch.testing.assert_close(module.loss(batch, draws=DRAWS), module.loss(other, draws=DRAWS))


@pytest.mark.parametrize("joint", [True, False])
def test_the_chunk_is_one_mixture_or_several(joint: bool) -> None:
    module = build("bc_gmm", joint=joint)
    batch = batch_for(module)
    batch["action_is_pad"][:, 2:] = True
    assert module.mixture(batch).means.shape == ((3, 1, 2, 28) if joint else (3, 4, 2, 7))
    drawn = module.decode(batch, torch.randn(3, 2, *module.noise_shape))
    assert drawn.shape == (3, 2, 4, 7)
    module.loss(batch, draws=DRAWS).backward()


def test_the_loss_of_a_joint_mixture_leaves_out_what_is_not_known() -> None:
    """Against a mixture that ends with the last step that is known."""
    module = build("bc_gmm")
    batch = batch_for(module)
    batch["action_is_pad"][:, 3:] = True
    mixture = module.mixture(batch)
    short = GaussianMixture(mixture.log_weights, mixture.means[..., :21], mixture.stds[..., :21])
    expected = -short.log_density(batch[ACTION][:, None, :3].flatten(2)) / 3
    torch.testing.assert_close(module.loss(batch, draws=DRAWS), expected.mean())


@pytest.mark.parametrize("name", ["bc_gmm", "bc_lstm_gmm"])
def test_low_noise_draws_the_means(name: str) -> None:
    module = build(name)
    batch = batch_for(module)
    noise = torch.randn(3, 8, *module.noise_shape)
    drawn = module.decode(batch, noise)
    means = module.mixture(batch).means[:, None]  # (B, 1, mixtures, M, steps * A)
    by_mixture = drawn.flatten(2).unflatten(2, (module.mixtures, 1, -1))
    nearest = (by_mixture - means).abs().amax(-1).amin(-1)
    assert nearest.max() < 1e-3
    noisy = build(name, low_noise=False).decode(batch, noise)
    assert (noisy - drawn).abs().mean() > 0.1


# torch says so of every LSTM; what it assigned is put back.
@pytest.mark.filterwarnings("ignore:The tensor attributes .*_flat_weights:UserWarning")
@pytest.mark.parametrize("name", ["bc_gmm", "bc_lstm_gmm"])
def test_it_can_be_exported(name: str) -> None:
    module = build(name).eval()
    batch = batch_for(module)
    batch = {key: batch[key] for key in (STATE, OBSERVATION_IS_PAD)}
    noise = torch.randn(3, 2, *module.noise_shape)

    class Decode(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.module = module

        def forward(self, batch: dict[str, Tensor], noise: Tensor) -> Tensor:
            return self.module.decode(batch, noise)

    with torch.no_grad():
        program = torch.export.export(Decode(), (batch, noise))
        torch.testing.assert_close(program.module()(batch, noise), module.decode(batch, noise))


@pytest.mark.parametrize("name", ["bc_gmm", "bc_lstm_gmm"])
def test_it_learns_two_ways_and_draws_both(name: str) -> None:
    """Half of the demonstrations go left and half right; the mean of both would go nowhere."""
    module = build(name)
    optimizer = torch.optim.AdamW(module.parameters(), lr=5e-3)
    batch = {
        key: value[:1].expand(64, *value.shape[1:]) for key, value in batch_for(module).items()
    }
    sides = torch.tensor([-0.6, 0.6]).repeat(32)[:, None, None]
    batch[ACTION] = sides.expand(batch[ACTION].shape)
    for _ in range(200):
        loss = module.loss(batch, draws=DRAWS)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    one = {key: value[:1] for key, value in batch.items()}
    with torch.inference_mode():
        drawn = module.sample(one, num_samples=64, generators=[np.random.default_rng(0)])
    means = drawn[0].mean(dim=(1, 2))
    assert (means.abs() - 0.6).abs().max() < 0.05
    # A candidate goes one way in all of its steps.
    assert drawn[0].std(dim=(1, 2)).max() < 0.05
    assert 0.2 < (means > 0).float().mean() < 0.8
