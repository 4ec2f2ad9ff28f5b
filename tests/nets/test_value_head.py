"""How values are said: the distributions that stand for targets, and their losses."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from robot_policy.core.errors import ConfigError
from robot_policy.nets.value_head import CategoricalHead, HeadKind, make_value_head


@given(
    low=st.floats(-100, 0), width=st.floats(0.1, 100), place=st.floats(0, 1), smooth=st.booleans()
)
@settings(max_examples=60, deadline=None)
def test_the_mean_of_a_target_distribution_is_the_target(
    low: float, width: float, place: float, smooth: bool
) -> None:
    head = CategoricalHead(low=low, high=low + width, bins=51, smooth=smooth)
    target = torch.tensor([low + place * width])
    p = head.distribution(target)
    assert p.min() >= 0
    torch.testing.assert_close(p.sum(-1), torch.ones(1), atol=1e-4, rtol=0)
    value = head.value(torch.log(p + 1e-30))
    assert abs(value.item() - target.item()) < 0.005 * width


@pytest.mark.parametrize("kind", ["scalar", "hl_gauss", "two_hot"])
def test_a_head_learns_a_value(kind: HeadKind) -> None:
    head = make_value_head(kind, low=-50.0, high=0.0, bins=51)
    outputs = torch.zeros(1, head.outputs, requires_grad=True)
    optimizer = torch.optim.Adam([outputs], lr=0.2)
    for _ in range(300):
        loss = head.loss(outputs, torch.tensor([-12.3])).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert head.value(outputs).item() == pytest.approx(-12.3, abs=0.3)


@pytest.mark.parametrize("kind", ["hl_gauss", "two_hot"])
def test_a_target_out_of_range_counts_as_the_end_of_the_range(kind: HeadKind) -> None:
    head = make_value_head(kind, low=0.0, high=1.0, bins=21)
    assert isinstance(head, CategoricalHead)
    torch.testing.assert_close(
        head.distribution(torch.tensor([7.0])), head.distribution(torch.tensor([1.0]))
    )


def test_an_empty_range_is_refused() -> None:
    with pytest.raises(ConfigError, match="value_low < value_high"):
        make_value_head("scalar", low=1.0, high=1.0, bins=51)


def test_too_few_bins_are_refused() -> None:
    with pytest.raises(ConfigError, match="bins: too few"):
        make_value_head("hl_gauss", low=0.0, high=1.0, bins=4)
