"""How good a critic is, measured on recorded episodes."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.episode import Success
from robot_policy.core.errors import DataError
from robot_policy.core.observation import (
    ACTION,
    Candidates,
    Windows,
)
from robot_policy.core.policy import Policy
from robot_policy.critics.labels import Labels
from robot_policy.critics.recorded import windows_of
from robot_policy.critics.torch_scorer import TorchScorer
from robot_policy.data.store import EpisodeStore
from robot_policy.data.windows import WindowDataset

_PLACES = 21
_BINS = 10
_ROWS = 256


@dataclass(frozen=True)
class DiagnosisConfig:
    """What is measured."""

    windows: int = 512
    """Moments that candidates are judged at."""
    candidates: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 64, 128)
    """Numbers of candidates K."""
    seed: int = 0
    """Of all draws."""


class Diagnosis:
    """Asks a critic about the episodes of a dataset.

    Args:
        scorer: The critic.
        store: Dataset, with the cameras that the critic sees.
        labels: Of its steps.
        config: What is measured.

    Raises:
        DataError: If the dataset has no task that the critic was trained on.
    """

    def __init__(
        self, scorer: TorchScorer, store: EpisodeStore, labels: Labels, config: DiagnosisConfig
    ) -> None:
        known = [i for i, e in enumerate(store.episodes) if e.task in scorer.instructions]
        if not known:
            tasks = sorted({episode.task for episode in store.episodes})
            raise DataError(
                "no episode of a task that the critic was trained on",
                where="dataset",
                expected=", ".join(scorer.instructions),
                got=", ".join(tasks),
            )
        self._scorer = scorer
        self._store = store
        self._labels = labels
        self._config = config
        self._data = self._windows(
            scorer.spec.history, stride=scorer.spec.history_stride, episodes=known
        )
        self._step = self._data.steps(np.arange(len(self._data)))
        self._episode = store.episode_of[self._step]
        self._frame = self._step - store.starts[self._episode]
        lengths = np.array([episode.length for episode in store.episodes])
        self._time = self._frame / np.maximum(lengths[self._episode] - 1, 1)
        succeeds = np.array([e.success == Success.YES for e in store.episodes])
        self._succeeds = succeeds[self._episode]
        self._rng = np.random.default_rng(config.seed)

    def run(self, policy: Policy | None = None) -> dict[str, Any]:
        """Returns everything that can be measured, JSON-ready; curves over K need a policy."""
        every = max(1, len(self._data) // (16 * self._config.windows))
        indices = np.arange(0, len(self._data), every)
        values = self._judged(indices)
        return {
            "values": self.value_curves(indices, values),
            "calibration": self.calibration(indices, values),
            "ranking": self.ranking(),
            "candidates": [] if policy is None else self.over_candidates(policy),
        }

    def value_curves(
        self, indices: NDArray[np.int64], values: NDArray[np.float64]
    ) -> dict[str, list[float | None]]:
        """Mean value over the time of an episode, 0 to 1: successes, failures, other instructions.

        The last is None throughout where the critic knows a single instruction.
        """
        place = np.round(self._time[indices] * (_PLACES - 1)).astype(int)
        good = self._succeeds[indices]
        curves = {
            "success": _binned(place[good], values[good]),
            "failure": _binned(place[~good], values[~good]),
            "other_instruction": [None] * _PLACES,
        }
        if len(self._scorer.instructions) > 1:
            shuffled = self._judged(indices[good], shuffle=True)
            curves["other_instruction"] = _binned(place[good], shuffled)
        return curves

    def calibration(
        self, indices: NDArray[np.int64], values: NDArray[np.float64]
    ) -> dict[str, Any]:
        """Values against the returns that followed: bins, rank correlation, error.

        ``auc`` is the chance that a moment of a success is judged above one of a failure at the
        same part of the episode.
        """
        returns = self._labels.returns[self._step[indices]].astype(np.float64)
        order = np.array_split(np.argsort(values), min(_BINS, len(values)))
        return {
            "bins": [
                {"value": float(values[part].mean()), "return": float(returns[part].mean())}
                for part in order
            ],
            "spearman": _correlation(_ranks(values), _ranks(returns)),
            "mean_absolute_error": float(np.abs(values - returns).mean()),
            "auc": self._auc(indices, values),
        }

    def ranking(self) -> dict[str, float]:
        """Shares of the moments of successes at which the recorded chunk is judged above a worse.

        ``noisy_<x>``: the same chunk with noise of x standard deviations of the data's actions;
        ``other_moment``: one of another moment; ``reversed``: all motion the other way.
        """
        indices = self._sample(self._succeeds)
        batch, windows = self._batch(indices)
        recorded = batch[ACTION]
        scale = np.maximum(self._store.actions.std(axis=0), 1e-6)
        noise = self._rng.standard_normal(recorded.shape).astype(np.float32) * scale
        others = self._data.chunks(self._rng.integers(0, len(self._data), len(indices)))
        reversed_ = -recorded
        reversed_[..., -1] = recorded[..., -1]
        worse = {
            "noisy_0.1": recorded + 0.1 * noise,
            "noisy_0.3": recorded + 0.3 * noise,
            "noisy_1": recorded + noise,
            "other_moment": others,
            "reversed": reversed_,
        }
        chunks = np.stack([recorded, *worse.values()], axis=1).astype(np.float32)
        scores = self._score(windows, chunks)
        better = (scores[:, :1] > scores[:, 1:]).mean(axis=0)
        return dict(zip(worse, map(float, better), strict=True))

    def over_candidates(self, policy: Policy) -> list[dict[str, float]]:
        """What is picked among K candidates of a policy at moments of successes.

        Distances are root mean square ones to the recorded chunk, in standard deviations of the
        data's actions, of the executed part. A critic that is over-optimised picks chunks farther
        from what worked as K grows, while it judges them ever higher.

        Returns:
            Per K: ``picked`` (highest judgement), ``cautious`` (gain over the first by more than
            the heads disagree), ``random`` and ``closest`` distances, and the picked ``value``.
        """
        spec = policy.spec
        data = self._windows(spec.history, stride=spec.history_stride, episodes=None)
        indices = self._sample(self._succeeds)[:_ROWS]
        windows = windows_of(
            data.batch(self._step[indices]), policy.spec.past, policy.spec.action.size
        )
        most = max(self._config.candidates)
        drawn = policy.sample(windows, num_samples=most, generator=self._rng).actions
        horizon = self._scorer.spec.horizon
        executed = drawn[:, :, :horizon]
        scale = np.maximum(self._store.actions.std(axis=0), 1e-6)
        recorded = self._data.batch(indices)[ACTION]
        error = (executed - recorded[:, None]) / scale
        distance = np.sqrt(np.square(error).mean(axis=(2, 3)))
        heads = self._scorer.judge(windows, Candidates(executed)).astype(np.float64)
        advantage = heads - heads[:, :, :1]
        cautious = advantage.mean(0) - advantage.std(0)
        judged, rows = heads.mean(0), np.arange(len(indices))
        table: list[dict[str, float]] = []
        for count in sorted(self._config.candidates):
            best = judged[:, :count].argmax(1)
            table.append(
                {
                    "candidates": count,
                    "picked": float(distance[rows, best].mean()),
                    "cautious": float(distance[rows, cautious[:, :count].argmax(1)].mean()),
                    "random": float(distance[:, :count].mean()),
                    "closest": float(distance[:, :count].min(1).mean()),
                    "value": float(judged[rows, best].mean()),
                }
            )
        return table

    def _windows(
        self, history: int, *, stride: int, episodes: Sequence[int] | None
    ) -> WindowDataset:
        spec = self._scorer.spec
        return WindowDataset(
            self._store,
            history=history,
            past=0,
            horizon=spec.horizon,
            stride=stride,
            cameras=tuple(spec.cameras),
            use_environment_state=self._store.environment_state is not None,
            episodes=episodes,
        )

    def _sample(self, where: NDArray[np.bool_]) -> NDArray[np.int64]:
        chosen = np.flatnonzero(where)
        if not len(chosen):
            raise DataError("no episode succeeds, so nothing is known to be good", where="dataset")
        size = min(self._config.windows, len(chosen))
        return self._rng.choice(chosen, size, replace=False)

    def _batch(self, indices: NDArray[np.int64]) -> tuple[dict[str, Any], Windows]:
        batch = self._data.batch(indices)
        return batch, windows_of(batch, 0, self._scorer.spec.action.size)

    def _judged(self, indices: NDArray[np.int64], *, shuffle: bool = False) -> NDArray[np.float64]:
        """Mean over the heads of the recorded chunks (B,)."""
        parts: list[NDArray[np.float64]] = []
        for start in range(0, len(indices), _ROWS):
            batch, windows = self._batch(indices[start : start + _ROWS])
            if shuffle:
                windows = _shuffled(windows, self._scorer.instructions)
            heads = self._scorer.judge(windows, Candidates(batch[ACTION][:, None]))
            parts.append(heads.mean(0)[:, 0].astype(np.float64))
        return np.concatenate(parts) if parts else np.empty(0)

    def _score(self, windows: Windows, chunks: NDArray[np.float32]) -> NDArray[np.float64]:
        return self._scorer.judge(windows, Candidates(chunks)).mean(0).astype(np.float64)

    def _auc(self, indices: NDArray[np.int64], values: NDArray[np.float64]) -> float | None:
        place = np.round(self._time[indices] * (_PLACES - 1)).astype(int)
        good = self._succeeds[indices]
        wins, pairs = 0.0, 0
        for p in range(_PLACES):
            a, b = values[good & (place == p)], values[~good & (place == p)]
            wins += float((a[:, None] > b).sum() + 0.5 * (a[:, None] == b).sum())
            pairs += len(a) * len(b)
        return wins / pairs if pairs else None


def _shuffled(windows: Windows, instructions: Sequence[str]) -> Windows:
    following = {
        text: instructions[(place + 1) % len(instructions)]
        for place, text in enumerate(instructions)
    }
    return replace(windows, instructions=tuple(following[text] for text in windows.instructions))


def _binned(place: NDArray[np.int64], values: NDArray[np.float64]) -> list[float | None]:
    return [
        float(values[place == p].mean()) if (place == p).any() else None for p in range(_PLACES)
    ]


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks, equal values sharing the mean of theirs."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2.0)[inverse]


def _correlation(a: NDArray[np.float64], b: NDArray[np.float64]) -> float | None:
    if a.std() == 0 or b.std() == 0:
        return None
    return float(np.corrcoef(a, b)[0, 1])
