"""Intervals against published worked examples, and what must hold for any counts."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.statistics import (
    PairedOutcomes,
    mcnemar_exact_p,
    paired_difference_interval,
    wilson_interval,
)

counts = st.integers(0, 60)
tables = st.tuples(counts, counts, counts, counts).filter(any).map(lambda t: PairedOutcomes(*t))
proportions = st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_gives_the_examples_of_newcombe_1998(
    successes: int, trials: int, low: float, high: float
) -> None:
    """Table I of Newcombe, Statistics in Medicine 17:857-872, method 3."""
    assert wilson_interval(successes, trials) == pytest.approx((low, high), abs=5e-5)


@given(proportions)
def test_wilson_holds_the_rate_and_mirrors(proportion: tuple[int, int]) -> None:
    k, n = proportion
    low, high = wilson_interval(k, n)
    assert 0 <= low <= k / n <= high <= 1
    assert low < high
    assert wilson_interval(n - k, n) == pytest.approx((1 - high, 1 - low))


@given(proportions, st.floats(0.5, 0.9), st.floats(0.91, 0.999))
def test_more_confidence_is_a_wider_interval(
    proportion: tuple[int, int], less: float, more: float
) -> None:
    narrow = wilson_interval(*proportion, confidence=less)
    wide = wilson_interval(*proportion, confidence=more)
    assert wide[0] <= narrow[0]
    assert narrow[1] <= wide[1]


@given(proportions)
def test_wilson_bounds_solve_the_score_equation(proportion: tuple[int, int]) -> None:
    """A bound b is where |p - b| = z sqrt(b (1 - b) / n)."""
    k, n = proportion
    z = 1.959963984540054
    for bound in wilson_interval(k, n):
        assert abs(k / n - bound) == pytest.approx(z * math.sqrt(bound * (1 - bound) / n), abs=1e-9)


@pytest.mark.parametrize(("k", "n"), [(1, 0), (-1, 3), (4, 3)])
def test_impossible_counts_are_refused(k: int, n: int) -> None:
    with pytest.raises(ValueError, match="successes"):
        wilson_interval(k, n)


@pytest.mark.parametrize(
    ("table", "low", "high"),
    [
        # Altman, Machin, Bryant, Gardner, "Statistics with Confidence", 2nd ed., page 52.
        (PairedOutcomes(both=14, only_first=0, only_second=5, neither=22), 0.011, 0.226),
        # Fagerland, Lydersen, Laake, "Statistical Analysis of Contingency Tables", chapter 8:
        # airway hyper-responsiveness before and after transplantation.
        (PairedOutcomes(both=1, only_first=7, only_second=1, neither=12), -0.507, -0.026),
    ],
)
def test_paired_difference_gives_published_examples(
    table: PairedOutcomes, low: float, high: float
) -> None:
    assert paired_difference_interval(table) == pytest.approx((low, high), abs=5e-4)


@given(tables)
def test_paired_interval_holds_the_difference_and_mirrors(table: PairedOutcomes) -> None:
    low, high = paired_difference_interval(table)
    assert -1 <= low <= table.difference + 1e-12
    assert table.difference - 1e-12 <= high <= 1
    swapped = PairedOutcomes(table.both, table.only_second, table.only_first, table.neither)
    assert paired_difference_interval(swapped) == pytest.approx((-high, -low))


def test_agreement_between_pairs_narrows_the_interval() -> None:
    """Why pairing by seed is worth it."""
    related = PairedOutcomes(both=25, only_first=0, only_second=5, neither=20)
    unrelated = PairedOutcomes(both=15, only_first=10, only_second=15, neither=10)
    assert related.successes == unrelated.successes
    low, high = paired_difference_interval(related)
    wide_low, wide_high = paired_difference_interval(unrelated)
    assert high - low < wide_high - wide_low


def test_mcnemar_gives_published_and_hand_computed_values() -> None:
    # Fagerland et al. as above: b = 7, c = 1, 2 (1 + 8) / 2^8.
    assert mcnemar_exact_p(PairedOutcomes(1, 7, 1, 12)) == pytest.approx(0.0703125)
    assert mcnemar_exact_p(PairedOutcomes(10, 0, 0, 3)) == 1.0
    assert mcnemar_exact_p(PairedOutcomes(0, 0, 6, 0)) == pytest.approx(2 / 64)


@given(tables)
def test_mcnemar_is_a_symmetric_probability(table: PairedOutcomes) -> None:
    p = mcnemar_exact_p(table)
    assert 0 < p <= 1
    swapped = PairedOutcomes(table.both, table.only_second, table.only_first, table.neither)
    assert mcnemar_exact_p(swapped) == p


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1))
def test_counting_agrees_with_the_rates(pairs: list[tuple[bool, bool]]) -> None:
    first, second = zip(*pairs, strict=True)
    table = PairedOutcomes.count(first, second)
    assert table.successes == (sum(first), sum(second))
    assert table.total == len(pairs)
    assert table.difference == pytest.approx((sum(second) - sum(first)) / len(pairs))
