"""A policy and what steers it, as a policy: it runs wherever a policy runs."""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.errors import ConfigError, SpecError
from robot_policy.core.observation import Candidates, Windows
from robot_policy.core.policy import Generators, Policy, Scorer, per_row
from robot_policy.core.specs import PolicySpec
from robot_policy.core.steering_record import SteeringRecord
from robot_policy.runtime.candidate_spread import candidate_spread
from robot_policy.runtime.guidance.candidates import (
    PRIMITIVES,
    check_primitives,
    perturbed,
    primitive_bank,
    within_limits,
)
from robot_policy.runtime.guidance.choice import Choice, choose_one
from robot_policy.runtime.guidance.config import SteeringConfig
from robot_policy.runtime.guidance.judges import judgements
from robot_policy.runtime.guidance.registry import STRATEGIES
from robot_policy.runtime.guidance.strategy import Strategy
from robot_policy.runtime.guidance.weighted_mean import mean_chunk

_ALIKE = 1e-6
"""Largest difference of candidates that are one and the same but for rounding [m, rad]."""


class SteeredPolicy:
    """Draws K candidates, has them judged and answers with one chunk.

    Of every candidate the first `scored_steps` actions are judged, which are those that will be
    executed. The answer begins as the policy alone would have begun it: the first candidate is its
    first sample, and draws that steering needs do not disturb it.

    Args:
        policy: Anything that samples.
        scorer: Judges; None for strategies that need no judgement.
        config: How.
        scored_steps: Actions of a chunk that are judged.
        support: Says how usual a candidate is; None trusts the scorer everywhere.

    Raises:
        ConfigError: If the strategy needs a scorer, the primitives do not suit the policy, or leave
            no candidate to it.
        UnknownNameError: If there is no such strategy.
    """

    def __init__(
        self,
        policy: Policy,
        scorer: Scorer | None,
        *,
        config: SteeringConfig,
        scored_steps: int,
        support: Scorer | None = None,
    ) -> None:
        if not 1 <= scored_steps <= policy.spec.horizon:
            raise ConfigError(
                "out of range",
                where="scored_steps",
                expected=f"1 .. {policy.spec.horizon}",
                got=scored_steps,
            )
        self.policy = policy
        self.counts: Counter[str] = Counter()
        """How often there was a ``plan``, and an abstention or a fault of each kind."""
        self.drawn: NDArray[np.float32] | None = None
        """(K, H, A) the candidates of the first robot's last plan, for people to look at."""
        self._scorer = scorer
        self._support = support
        self._scored_steps = scored_steps
        self.adjust(config)

    def adjust(self, config: SteeringConfig) -> None:
        """Makes and chooses candidates as `config` says from now on; if it raises, as before.

        Raises:
            ConfigError: As at the beginning.
            UnknownNameError: If there is no such strategy.
        """
        if self._scorer is None and config.strategy not in ("first", "random"):
            raise ConfigError(
                "nothing to choose by", where=f"strategy {config.strategy}", hint="needs a critic"
            )
        if config.primitives:
            check_primitives(self.policy.spec)
        division = _division(config)
        self._strategy: Strategy = STRATEGIES[config.strategy](config)
        self._drawn, self._moved = division
        self.config = config

    @property
    def spec(self) -> PolicySpec:
        """Of the policy."""
        return self.policy.spec

    @property
    def device_type(self) -> str:
        """Of the policy; ``cpu`` where it does not say."""
        return getattr(self.policy, "device_type", "cpu")

    def reset(self) -> None:
        """Resets the policy."""
        self.policy.reset()

    def close(self) -> None:
        """Releases what the policy holds beyond memory."""
        close = getattr(self.policy, "close", None)
        if close is not None:
            close()

    def sample(
        self, windows: Windows, *, num_samples: int = 1, generator: Generators
    ) -> Candidates:
        """Returns one chunk per robot, (B, 1, H, A), and a record of how it was chosen.

        Raises:
            SpecError: If more than one is asked for: there is only one best.
        """
        if num_samples != 1:
            raise SpecError("a steered policy answers with one chunk", got=num_samples)
        rows = per_row(generator, windows.batch_size)
        # Spawned first: a child depends on how often its parent has spawned, not on what it drew.
        own = [row.spawn(1)[0] for row in rows]
        drawn = self.policy.sample(windows, num_samples=self._drawn, generator=rows)
        start_ns = time.monotonic_ns()
        chunks = self._candidates(drawn.actions, own)
        self.drawn = chunks[0]
        heads, support = self._judged(windows, chunks, drawn.past)
        chosen: list[NDArray[np.float32]] = []
        records: list[SteeringRecord] = []
        for row, rng in enumerate(own):
            choice = choose_one(
                heads[:, row],
                None if support is None else support[row],
                strategy=self._strategy,
                config=self.config,
                rng=rng,
                alike=bool(np.ptp(chunks[row], axis=0).max() < _ALIKE),
            )
            chunk, record = self._take(windows, row, chunks[row], heads[:, row], choice)
            chosen.append(chunk)
            records.append(record)
        elapsed_ms = (time.monotonic_ns() - start_ns) / 1e6
        self._count(records)
        return Candidates(
            np.stack(chosen)[:, None],
            steering=tuple(replace(record, scoring_ms=elapsed_ms) for record in records),
        )

    def _candidates(
        self, drawn: NDArray[np.float32], rngs: Sequence[np.random.Generator]
    ) -> NDArray[np.float32]:
        """(B, K, H, A): the policy's samples, moved ones, straight moves."""
        parts = [drawn]
        if self._moved:
            scale = self.config.gaussian_scale
            moved = [
                perturbed(samples, count=self._moved, scale=scale, rng=rng)
                for samples, rng in zip(drawn, rngs, strict=True)
            ]
            parts.append(within_limits(np.stack(moved), self.spec))
        if self.config.primitives:
            parts.append(np.stack([primitive_bank(samples[0], self.spec) for samples in drawn]))
        return np.concatenate(parts, axis=1)

    def _judged(
        self,
        windows: Windows,
        chunks: NDArray[np.float32],
        past: NDArray[np.float32] | None,
    ) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
        # What was moved, or is a straight move, tells of no past.
        own = past is not None and past.shape[1] == chunks.shape[1]
        executed = Candidates(chunks[:, :, : self._scored_steps], past if own else None)
        if self._scorer is None:
            # Something to tell candidates apart by, for controls that do not look at it.
            heads = np.broadcast_to(np.arange(chunks.shape[1], dtype=np.float64), chunks.shape[:2])
            return heads[None], None
        heads = judgements(self._scorer, windows, executed)
        if self._support is None:
            return heads, None
        return heads, self._support.score(windows, executed).astype(np.float64)

    def _take(
        self,
        windows: Windows,
        row: int,
        chunks: NDArray[np.float32],
        heads: NDArray[np.float64],
        choice: Choice,
    ) -> tuple[NDArray[np.float32], SteeringRecord]:
        mean = heads.mean(axis=0)
        weights = choice.weights
        index = int(np.argmax(weights))
        chunk, value = chunks[index], float(mean[index])
        if weights[index] < 1.0:
            averaged = mean_chunk(chunks, weights)
            judged = self._value_of(windows, row, averaged)
            if judged >= value:
                chunk, value, index = averaged, judged, -1
        known = self._scorer is not None and not choice.fault
        return chunk, SteeringRecord(
            value=value if known else None,
            first=float(mean[0]) if known else None,
            spread=float(mean.std()) if known else 0.0,
            candidate_spread=candidate_spread(chunks[:, : self._scored_steps], self.spec.action),
            chosen=index,
            abstained=choice.abstained,
            fault=choice.fault,
        )

    def _value_of(self, windows: Windows, row: int, chunk: NDArray[np.float32]) -> float:
        assert self._scorer is not None
        executed = Candidates(chunk[None, None, : self._scored_steps])
        return float(judgements(self._scorer, windows.row(row), executed).mean())

    def _count(self, records: Sequence[SteeringRecord]) -> None:
        for record in records:
            self.counts.update(record.labels)


def _division(config: SteeringConfig) -> tuple[int, int]:
    """How many candidates the policy draws and how many are moved ones."""
    left = config.candidates - (PRIMITIVES if config.primitives else 0)
    if left < 1:
        raise ConfigError(
            "no candidate is left to the policy",
            where="candidates with primitives",
            expected=f"> {PRIMITIVES}",
            got=config.candidates,
        )
    moved = min(round(left * config.gaussian), left - 1)
    return left - moved, moved
