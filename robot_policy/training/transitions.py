"""Batches for critics: a window, the chunk that was executed, what it led to, and returns."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.episode import Success
from robot_policy.core.observation import ACTION, IMAGES, OBSERVATION_IS_PAD, TASK
from robot_policy.core.transforms import Sample
from robot_policy.critics.labels import Labels
from robot_policy.critics.module import (
    COUNT,
    DISCOUNT,
    INTERVENED,
    NEXT,
    OTHER_CHUNKS,
    OTHERS,
    PROPOSED,
    RETURN,
    REWARD,
    SUCCESS,
)
from robot_policy.data.store import EpisodeStore
from robot_policy.nets.language import INSTRUCTION, TextEncoder
from robot_policy.training.data import BatchSource

_ALL = slice(None)


class TransitionSource(BatchSource):
    """Like `BatchSource`, with the entries that critics learn from.

    Args:
        store: Dataset.
        episodes: Which of its episodes.
        labels: Of every step of the dataset.
        text: Encodes the instructions.
        variable_length: Draw the number of executed actions, 1 .. H, instead of always H.
        other_instructions: Part of the rows that get the instruction of another task, and with it
            the least return: what is right for one task is nothing for another.
        options: Those of `BatchSource`.
    """

    def __init__(
        self,
        store: EpisodeStore,
        episodes: Sequence[int],
        *,
        labels: Labels,
        text: TextEncoder,
        variable_length: bool = False,
        other_instructions: float = 0.0,
        **options: Any,
    ) -> None:
        super().__init__(store, episodes, **options)
        self._labels = labels
        self._text = text
        self._horizon = options["spec"].horizon
        self._variable_length = variable_length
        self._other_instructions = other_instructions
        successes = np.array([e.success == Success.YES for e in store.episodes], np.float32)
        self._successes = successes[store.episode_of]
        self._intervened = (
            np.zeros(len(store), np.float32)
            if store.intervention is None
            else store.intervention.astype(np.float32)
        )
        self._tasks = sorted({store.episodes[e].task for e in episodes})

    def training_batch(self, number: int, *, rows: slice = _ALL) -> Sample:
        """Batch `number`; what is drawn for a row depends on seed, number and row only."""
        indices = self._indices(number)
        return self._transitions(indices, np.random.default_rng([self._seed, 1, number]), rows)

    def fixed_batch(self, *, size: int) -> Sample:
        """Up to `size` transitions spread evenly over the data, always the same ones."""
        count = min(size, len(self._windows))
        indices = np.linspace(0, len(self._windows) - 1, count).astype(np.int64)
        return self._transitions(indices, np.random.default_rng([self._seed, 2]), _ALL)

    def _transitions(
        self, indices: NDArray[np.int64], rng: np.random.Generator, rows: slice
    ) -> Sample:
        size = len(indices)
        counts = np.full(size, self._horizon, dtype=np.int64)
        if self._variable_length:
            counts = rng.integers(1, self._horizon + 1, size)
        others = rng.integers(0, len(self._windows), (size, OTHER_CHUNKS))
        strange = rng.random(size) < self._other_instructions
        shift = rng.integers(1, max(len(self._tasks), 2), size)
        chosen = indices[rows]
        sample = dict(self._normalized(chosen))
        sample[OTHERS] = self._chunks(others[rows])
        sample |= self._outcome(chosen, counts[rows])
        sample[INTERVENED] = self._intervened[self._windows.steps(chosen)]
        wanted = self._windows.policy_chunks(chosen)
        sample[PROPOSED] = self._pipeline.apply({ACTION: wanted})[ACTION]
        return self._with_instructions(sample, strange[rows], shift[rows])

    def _outcome(self, indices: NDArray[np.int64], counts: NDArray[np.int64]) -> dict[str, Any]:
        steps = self._windows.steps(indices)
        left = self._labels.ends[steps] - 1 - steps
        rewards, discounts = self._labels.n_step(steps, counts)
        # Windows of an episode follow each other, so the one n steps later is n further on.
        following = self._normalized(indices + np.minimum(counts, left))
        seen = {key: value for key, value in following.items() if _is_seen(key)}
        return {
            **{NEXT + key: value for key, value in seen.items()},
            REWARD: rewards,
            DISCOUNT: discounts,
            RETURN: self._labels.returns[steps],
            COUNT: counts,
            SUCCESS: self._successes[steps],
        }

    def _with_instructions(
        self, sample: dict[str, Any], strange: NDArray[np.bool_], shift: NDArray[np.int64]
    ) -> Sample:
        texts = list(sample[TASK])
        if len(self._tasks) > 1:
            count = len(self._tasks)
            for row in np.flatnonzero(strange):
                place = self._tasks.index(texts[row])
                texts[row] = self._tasks[(place + 1 + (shift[row] - 1) % (count - 1)) % count]
            worst = np.float32(self._labels.returns.min())
            sample[RETURN] = np.where(strange, worst, sample[RETURN])
            sample[REWARD] = np.where(strange, worst, sample[REWARD])
            sample[DISCOUNT] = np.where(strange, np.float32(0.0), sample[DISCOUNT])
            sample[SUCCESS] = np.where(strange, np.float32(0.0), sample[SUCCESS])
        sample[INSTRUCTION] = self._text.encode(texts)
        return sample

    def _chunks(self, indices: NDArray[np.int64]) -> NDArray[np.float32]:
        """Normalised chunks (B, M, H, A) of windows (B, M)."""
        actions = self._windows.chunks(indices.reshape(-1))
        normalized = self._pipeline.apply({ACTION: actions})[ACTION]
        return normalized.reshape(*indices.shape, *actions.shape[1:])


def _is_seen(key: str) -> bool:
    return key.startswith(("observation.state", "observation.environment_state", IMAGES)) or (
        key == OBSERVATION_IS_PAD
    )
