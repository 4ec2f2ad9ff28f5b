"""From judgements to a choice, for one robot; keeps the policy's own sample when in doubt."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from robot_policy.runtime.guidance.config import SteeringConfig
from robot_policy.runtime.guidance.strategy import Strategy, only, spread

NOISE = "noise"
"""Nothing is judged to be better by more than the heads disagree."""
ALIKE = "candidates alike"
"""The policy draws the same chunk every time, at temperature 0 for example."""
SUPPORT = "support"
"""Nothing else is like what the data hold."""


@dataclass(frozen=True, slots=True)
class Choice:
    """How much of each candidate is executed, and why.

    Attributes:
        weights: (N,).
        abstained: Why the first sample was kept, or empty.
        fault: What was wrong with the judgements, or empty.
    """

    weights: NDArray[np.float64]
    abstained: str = ""
    fault: str = ""


def choose_one(
    heads: NDArray[np.float64],
    support: NDArray[np.float64] | None,
    *,
    strategy: Strategy,
    config: SteeringConfig,
    rng: np.random.Generator,
    alike: bool = False,
) -> Choice:
    """Chooses among the candidates of one robot.

    With A_e(j) = Q_e(j) - Q_e(0) what head e says candidate j gains over the first sample, j counts
    for g_j = mean_e A_e(j) - k std_e A_e(j), so g_0 = 0: an error that a head makes about the whole
    situation cancels. Candidates of thin support are left out, but never the first. Where nothing
    else has a gain above `least_gain` standard deviations of the judgements, the first is kept.

    Args:
        heads: (E, N) judgements.
        support: (N,) or None.
        strategy: Chooses by the gains.
        config: k, least gain and least support.
        rng: For strategies that draw.
        alike: Whether the candidates are one and the same chunk, so that judgements that are all
            alike are right.
    """
    count = heads.shape[1]
    first = only(0, count)
    if not np.isfinite(heads).all() or (support is not None and not np.isfinite(support).all()):
        return Choice(first, fault="not finite")
    if count == 1:
        return Choice(first)
    if alike:
        return Choice(first, abstained=ALIKE)
    if np.ptp(heads, axis=1).max() <= 1e-12:
        return Choice(first, fault="constant")
    gains = _gains(heads, caution=config.caution)
    usual = np.ones(count, bool) if support is None else support >= config.least_support
    usual[0] = True
    if usual.sum() == 1:
        return Choice(first, abstained=SUPPORT)
    allowed = np.where(usual, gains, -np.inf)
    floor = config.least_gain * spread(heads.mean(axis=0))
    doubts = config.caution > 0 or config.least_gain > 0
    if doubts and allowed[1:].max() <= floor:
        return Choice(first, abstained=NOISE)
    return Choice(strategy.weights(allowed, rng))


def _gains(heads: NDArray[np.float64], *, caution: float) -> NDArray[np.float64]:
    """(N,) gains over the first candidate."""
    advantage = heads - heads[:, :1]
    return advantage.mean(axis=0) - caution * advantage.std(axis=0)
