"""Randomness of training that does not depend on how a batch is divided."""

from collections.abc import Callable, Sequence
from typing import Self

import numpy as np
import torch
from torch import Tensor


class Draws:
    """Randomness of a training step: the same numbers whoever computes which rows.

    Every draw is made for the whole batch and cut to the rows that are computed here, so that
    several processes, or several accumulated parts, see what one process would have seen.

    Args:
        generator: Drawn from; on the device of the batch.
        rows: Which rows of the whole batch are computed here; all of them if None.
        total: Rows of the whole batch; needed with `rows`.
    """

    def __init__(
        self, generator: torch.Generator, *, rows: slice | None = None, total: int | None = None
    ) -> None:
        self._generator = generator
        self._rows = rows
        self._total = total

    @classmethod
    def of_step(
        cls,
        seed: int,
        step: int,
        *,
        device: torch.device,
        rows: slice | None = None,
        total: int | None = None,
    ) -> Self:
        """Randomness of gradient step `step` of the run with `seed`, and of no other."""
        entropy = np.random.SeedSequence([seed, step]).generate_state(1, np.uint64)[0]
        generator = torch.Generator(device).manual_seed(int(entropy) >> 1)
        return cls(generator, rows=rows, total=total)

    def normal(self, shape: Sequence[int]) -> Tensor:
        """Standard normal numbers; `shape` begins with the rows computed here."""
        return self._draw(torch.randn, shape)

    def uniform(self, shape: Sequence[int]) -> Tensor:
        """Numbers in [0, 1)."""
        return self._draw(torch.rand, shape)

    def integers(self, high: int, shape: Sequence[int]) -> Tensor:
        """Whole numbers 0 .. high - 1."""
        return (self.uniform(shape) * high).long().clamp(max=high - 1)

    def shared(self, shape: Sequence[int]) -> Tensor:
        """Numbers in [0, 1) that are the same for all rows and parts of the batch."""
        return torch.rand(tuple(shape), generator=self._generator, device=self._generator.device)

    def _draw(self, draw: Callable[..., Tensor], shape: Sequence[int]) -> Tensor:
        options = {"generator": self._generator, "device": self._generator.device}
        if self._rows is None or self._total is None:
            return draw(tuple(shape), **options)
        return draw((self._total, *shape[1:]), **options)[self._rows]
