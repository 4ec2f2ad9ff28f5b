"""The two protocols everything that decides goes through: policies propose, scorers judge."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.observation import Candidates, Windows
from robot_policy.core.specs import PolicySpec

type Generators = np.random.Generator | Sequence[np.random.Generator]
"""Randomness of a call: one generator for the batch, or one per row, so that what a robot
draws does not depend on who shares its batch."""


@runtime_checkable
class Policy(Protocol):
    """Proposes action chunks."""

    @property
    def spec(self) -> PolicySpec:
        """What it needs and what it promises."""
        ...

    def sample(
        self, windows: Windows, *, num_samples: int = 1, generator: Generators
    ) -> Candidates:
        """Draws N = `num_samples` chunks for each of the B windows.

        Returns:
            Candidates with actions (B, N, H, A) in the robot's units. A deterministic policy
            repeats its one answer N times.
        """
        ...

    def reset(self) -> None:
        """Forgets whatever it kept from the previous episode."""
        ...


@runtime_checkable
class LoadedPolicy(Policy, Protocol):
    """A policy that came from a file and was put on a device."""

    @property
    def device_type(self) -> str:
        """``cpu`` or ``cuda``."""
        ...


@runtime_checkable
class Scorer(Protocol):
    """Judges action chunks; value critics, past-token verification and support are scorers."""

    def score(self, windows: Windows, candidates: Candidates) -> NDArray[np.float32]:
        """Returns (B, N), higher is better."""
        ...


def per_row(generator: Generators, batch_size: int) -> Sequence[np.random.Generator]:
    """Returns one generator per row; a single one is split into independent children."""
    if isinstance(generator, np.random.Generator):
        return generator.spawn(batch_size)
    return generator


def standard_normal(
    shape: tuple[int, ...], generators: Sequence[np.random.Generator]
) -> NDArray[np.float32]:
    """Noise (B, *shape), row b from ``generators[b]``: the same numbers for every runtime."""
    return np.stack([g.standard_normal(shape, dtype=np.float32) for g in generators])
