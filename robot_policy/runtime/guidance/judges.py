"""Scorers with several heads, and several scorers as one."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.observation import Candidates, Windows
from robot_policy.core.policy import Scorer


@runtime_checkable
class Ensemble(Protocol):
    """A scorer that can say how sure it is."""

    def judge(self, windows: Windows, candidates: Candidates) -> NDArray[np.float32]:
        """Returns what each of its E heads says, (E, B, N)."""
        ...


def judgements(scorer: Scorer, windows: Windows, candidates: Candidates) -> NDArray[np.float64]:
    """Returns (E, B, N); E = 1 for a scorer that gives a single opinion."""
    if isinstance(scorer, Ensemble):
        return scorer.judge(windows, candidates).astype(np.float64)
    return scorer.score(windows, candidates)[None].astype(np.float64)


class CombinedScorer:
    """Several scorers as one: the weighted mean of what each says in units of its own spread.

    Critics of different scales then count alike. The heads of all of them are heads of this one, so
    critics that contradict each other make it unsure.

    Args:
        scorers: At least one.
        weights: One per scorer, positive; all alike if None.
    """

    def __init__(self, scorers: Sequence[Scorer], weights: Sequence[float] | None = None) -> None:
        self.scorers = tuple(scorers)
        self._weights = tuple(weights or (1.0,) * len(scorers))

    def score(self, windows: Windows, candidates: Candidates) -> NDArray[np.float32]:
        """Returns (B, N)."""
        return self.judge(windows, candidates).mean(axis=0)

    def judge(self, windows: Windows, candidates: Candidates) -> NDArray[np.float32]:
        """Returns (E, B, N), E the heads of all scorers."""
        opinions = [judgements(scorer, windows, candidates) for scorer in self.scorers]
        heads = sum(len(opinion) for opinion in opinions)
        parts: list[NDArray[np.float64]] = []
        for opinion, weight in zip(opinions, self._weights, strict=True):
            mean = opinion.mean(axis=0)  # (B, N)
            unit = mean.std(axis=-1, keepdims=True)
            unit = np.where(unit > 1e-9, unit, 1.0)
            share = weight / sum(self._weights) * heads / len(opinion)
            parts.append(share * (opinion - mean.mean(axis=-1, keepdims=True)) / unit)
        return np.concatenate(parts).astype(np.float32)
