"""Intervals for success rates, and for the difference of two rates on the same seeds.

Success is a yes or a no per seed, counts are small and rates are close to 1, so the textbook
``p ± 1.96 s`` is wrong here: at 20 of 20 it claims certainty. Score intervals are used instead.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

type Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class PairedOutcomes:
    """Two systems on the same seeds, counted.

    Attributes:
        both: Seeds that both solved.
        only_first: Seeds that only the first solved.
        only_second: Seeds that only the second solved.
        neither: Seeds that neither solved.
    """

    both: int
    only_first: int
    only_second: int
    neither: int

    def __post_init__(self) -> None:
        counts = (self.both, self.only_first, self.only_second, self.neither)
        if min(counts) < 0 or sum(counts) == 0:
            raise ValueError(f"counts must not be negative, nor all zero; got {counts}")

    @classmethod
    def count(cls, first: Sequence[bool], second: Sequence[bool]) -> "PairedOutcomes":
        """Counts two sequences whose entries belong together."""
        pairs = list(zip(first, second, strict=True))
        return cls(
            both=pairs.count((True, True)),
            only_first=pairs.count((True, False)),
            only_second=pairs.count((False, True)),
            neither=pairs.count((False, False)),
        )

    @property
    def total(self) -> int:
        """Number of pairs n."""
        return self.both + self.only_first + self.only_second + self.neither

    @property
    def successes(self) -> tuple[int, int]:
        """Successes of the first and of the second."""
        return self.both + self.only_first, self.both + self.only_second

    @property
    def difference(self) -> float:
        """Rate of the second minus rate of the first."""
        return (self.only_second - self.only_first) / self.total


def wilson_interval(successes: int, trials: int, *, confidence: float = 0.95) -> Interval:
    """Score interval of a proportion, after Wilson (1927), without continuity correction.

    ``(p + z²/2n ± z √(p (1 - p)/n + z²/4n²)) / (1 + z²/n)``; method 3 of Newcombe, "Two-sided
    confidence intervals for the single proportion", Statistics in Medicine 17:857-872 (1998).

    Args:
        successes: k.
        trials: n, at least 1.
        confidence: Coverage.

    Returns:
        (low, high) within [0, 1].

    Raises:
        ValueError: If not 0 <= k <= n, or n is 0.
    """
    if trials < 1 or not 0 <= successes <= trials:
        raise ValueError(f"need 0 <= successes <= trials >= 1; got {successes} of {trials}")
    z = _normal_quantile(confidence)
    p = successes / trials
    shrink = 1 + z * z / trials
    middle = (p + z * z / (2 * trials)) / shrink
    half = z * math.sqrt(p * (1 - p) / trials + z * z / (4 * trials * trials)) / shrink
    # At 0 and n the bound is exact; rounding would put it a hair beside.
    low = 0.0 if successes == 0 else max(0.0, middle - half)
    high = 1.0 if successes == trials else min(1.0, middle + half)
    return low, high


def paired_difference_interval(outcomes: PairedOutcomes, *, confidence: float = 0.95) -> Interval:
    """Interval of the difference of two rates on the same seeds, second minus first.

    Method 10 of Newcombe, "Improved confidence intervals for the difference between binomial
    proportions based on paired data", Statistics in Medicine 17:2635-2650 (1998): the distances
    from the rates to their Wilson bounds are squared and added, less twice their product times
    the correlation φ of the pairs, whose continuity correction keeps the interval from becoming
    too narrow.

    Returns:
        (low, high) within [-1, 1].
    """
    n = outcomes.total
    k1, k2 = outcomes.successes
    p1, p2 = k1 / n, k2 / n
    low1, high1 = wilson_interval(k1, n, confidence=confidence)
    low2, high2 = wilson_interval(k2, n, confidence=confidence)
    phi = _corrected_phi(outcomes)
    below = _square_and_add(p2 - low2, high1 - p1, phi)
    above = _square_and_add(high2 - p2, p1 - low1, phi)
    difference = outcomes.difference
    return max(-1.0, difference - below), min(1.0, difference + above)


def mcnemar_exact_p(outcomes: PairedOutcomes) -> float:
    """Two-sided p-value of the exact McNemar test that both rates are equal.

    Under that hypothesis the seeds that only one of the two solved are coin flips, so the
    p-value is twice the smaller tail of Binomial(b + c, 1/2), at most 1.
    """
    discordant = outcomes.only_first + outcomes.only_second
    fewer = min(outcomes.only_first, outcomes.only_second)
    tail = sum(math.comb(discordant, i) for i in range(fewer + 1))
    return min(1.0, 2 * tail / 2**discordant)


def _normal_quantile(confidence: float) -> float:
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1; got {confidence}")
    return NormalDist().inv_cdf(0.5 + confidence / 2)


def _corrected_phi(outcomes: PairedOutcomes) -> float:
    n = outcomes.total
    k1, k2 = outcomes.successes
    margins = k1 * (n - k1) * k2 * (n - k2)
    if margins == 0:
        return 0.0
    product = outcomes.both * outcomes.neither - outcomes.only_first * outcomes.only_second
    if product > 0:
        product = max(product - n / 2, 0.0)
    return product / math.sqrt(margins)


def _square_and_add(a: float, b: float, phi: float) -> float:
    # Never negative for |φ| <= 1, except by rounding.
    return math.sqrt(max(0.0, a * a - 2 * phi * a * b + b * b))
