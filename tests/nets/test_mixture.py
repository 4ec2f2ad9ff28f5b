"""The mixture output against torch's own distributions."""

import pytest
import torch
from torch import distributions as td

from robot_policy.nets.mixture import GaussianMixture, mixture_outputs

MODES, SIZE = 3, 2


def mixture(*shape: int) -> GaussianMixture:
    generator = torch.Generator().manual_seed(0)
    outputs = torch.randn(*shape, mixture_outputs(MODES, SIZE), generator=generator)
    return GaussianMixture.of_outputs(outputs, modes=MODES, least_std=0.05)


def test_its_parameters_are_in_range() -> None:
    m = mixture(4, 5)
    assert m.log_weights.shape == (4, 5, MODES)
    assert m.means.shape == m.stds.shape == (4, 5, MODES, SIZE)
    torch.testing.assert_close(m.log_weights.exp().sum(-1), torch.ones(4, 5))
    assert m.means.abs().max() <= 1.0
    assert m.stds.min() > 0.05


def test_its_density_is_torchs() -> None:
    m = mixture(4)
    reference = td.MixtureSameFamily(
        td.Categorical(logits=m.log_weights), td.Independent(td.Normal(m.means, m.stds), 1)
    )
    values = torch.randn(4, SIZE)
    torch.testing.assert_close(m.log_density(values), reference.log_prob(values))


def test_its_density_integrates_to_one() -> None:
    outputs = torch.randn(mixture_outputs(2, 1), generator=torch.Generator().manual_seed(0))
    m = GaussianMixture.of_outputs(outputs, modes=2, least_std=0.05)
    grid = torch.linspace(-10, 10, 20_001)
    assert torch.trapezoid(m.log_density(grid[:, None]).exp(), grid).item() == pytest.approx(
        1.0, abs=1e-3
    )


def test_draws_have_the_moments_of_the_mixture() -> None:
    torch.manual_seed(0)
    m, count = mixture(), 200_000
    drawn = m.draw(torch.randn(count), torch.randn(count, SIZE))
    weights = m.log_weights.exp()[:, None]
    mean = (weights * m.means).sum(0)
    second = (weights * (m.means**2 + m.stds**2)).sum(0)
    torch.testing.assert_close(drawn.mean(0), mean, atol=0.01, rtol=0)
    torch.testing.assert_close(drawn.square().mean(0), second, atol=0.02, rtol=0)


def test_modes_are_chosen_as_often_as_they_weigh() -> None:
    torch.manual_seed(0)
    m, count = mixture(), 100_000
    drawn = m.draw(torch.randn(count), torch.randn(count, SIZE), std=0.0)
    near = torch.cdist(drawn, m.means).argmin(-1)
    torch.testing.assert_close(torch.cdist(drawn, m.means).amin(-1).max(), torch.tensor(0.0))
    share = torch.bincount(near, minlength=MODES) / count
    torch.testing.assert_close(share, m.log_weights.exp(), atol=0.01, rtol=0)


@pytest.mark.parametrize("choice", [-40.0, 40.0])
def test_the_most_unlikely_numbers_choose_a_mode(choice: float) -> None:
    m = mixture(4)
    drawn = m.draw(torch.full((4,), choice), torch.zeros(4, SIZE))
    mode = 0 if choice < 0 else MODES - 1
    torch.testing.assert_close(drawn, m.means[:, mode])


def test_low_precision_outputs_are_read_in_float32() -> None:
    outputs = torch.randn(2, mixture_outputs(MODES, SIZE)).bfloat16()
    m = GaussianMixture.of_outputs(outputs, modes=MODES, least_std=0.05)
    assert m.log_density(torch.zeros(2, SIZE)).dtype == torch.float32
