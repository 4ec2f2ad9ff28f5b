"""Quantiles of a stream, against numpy."""

import numpy as np
import pytest

from robot_policy.runtime.quantiles import Quantiles


@pytest.mark.parametrize("q", [0.5, 0.99, 0.999])
def test_they_are_right_to_two_percent(q: float) -> None:
    values = np.random.default_rng(0).lognormal(0.0, 2.0, 20_000)
    quantiles = Quantiles()
    for value in values:
        quantiles.add(float(value))
    expected = np.quantile(values, q, method="inverted_cdf")
    assert expected <= quantiles.quantile(q) * (1 + 1e-12)  # type: ignore[operator]
    assert quantiles.quantile(q) <= 1.02 * expected * (1 + 1e-12)  # type: ignore[operator]
    assert quantiles.quantile(1.0) == quantiles.largest == values.max()
    assert quantiles.count == 20_000


def test_nothing_is_known_of_nothing() -> None:
    assert Quantiles().quantile(0.5) is None


def test_zero_and_negative_numbers_are_small() -> None:
    quantiles = Quantiles()
    quantiles.add(-1.0)
    quantiles.add(0.0)
    assert quantiles.quantile(0.99) == 0.0


def test_a_histogram_counts_every_number_once() -> None:
    values = np.random.default_rng(1).lognormal(0.0, 2.0, 5000)
    quantiles = Quantiles()
    for value in values:
        quantiles.add(float(value))
    edges = [0.01, 0.1, 1.0, 3.0, 10.0]
    found = np.array(quantiles.histogram(edges))
    assert found.sum() == quantiles.count
    expected, _ = np.histogram(values, [0.0, *edges, np.inf])
    # Numbers within 2 % of an edge may lie on its other side.
    unsure = sum(int((np.abs(values / edge - 1) < 0.03).sum()) for edge in edges)
    assert np.abs(found - expected).sum() <= 2 * unsure
    assert np.abs(found - expected).sum() < 0.1 * len(values)
