"""The one loop that draws: from noise through the levels of a process to candidates."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from robot_policy.policies.denoising.process import Process

type Predict = Callable[[Tensor, float], Tensor]
"""(B, C, L, A) noisy chunks and the network time to a prediction of the same shape."""


type Resample = Callable[[Tensor, int], tuple[Tensor, Tensor] | None]
"""(B, C, L, A) clean estimates and the level that comes next to which chunks are replaced,
(B, C, 1, 1) bool, and by what at that level (B, C, L, A); None to go on as it is."""


@dataclass(frozen=True)
class Known:
    """Actions of the chunk that are decided already, or that it should stay close to.

    Attributes:
        actions: (B, L, A), anything where nothing is known.
        where: (L, 1) or (B, 1, L, 1) bool, what is decided.
        weights: (B, 1, L, 1) how close to stay, from 0, open, to 1, decided; None where nothing
            is known of what is not decided.
    """

    actions: Tensor
    where: Tensor
    weights: Tensor | None = None

    def put(self, x: Tensor, actions: Tensor) -> Tensor:
        """Returns (B, C, L, A) `x` with `actions` where they are decided."""
        return torch.where(self.where, actions, x)

    def put_softly(self, x: Tensor, actions: Tensor) -> Tensor:
        """Returns `x` with `actions` in it as far as it should stay close to them."""
        mixed = x if self.weights is None else x + self.weights * (actions - x)
        return self.put(mixed, actions)


def denoise(
    process: Process,
    predict: Predict,
    noise: Tensor,
    *,
    known: Known | None = None,
    shared_steps: int = 0,
    extra_steps: int = 0,
    resample: Resample | None = None,
) -> Tensor:
    """Draws C chunks per row.

    Args:
        process: Levels and steps.
        predict: The network.
        noise: (B, C, D, L, A): the start of each chunk, then what its random steps need, and last,
            with `shared_steps`, what tells it from the first chunk. D = `draws_needed`.
        known: Held at its place: noised to the level before every call of the network (Lugmayr et
            al. 2022), exact at the end. What is not decided is only drawn towards its place.
        shared_steps: Levels that the first chunk goes alone. The others branch off from it there:
            its clean estimate, noised to the level with noise of their own, so that they differ
            in what the remaining levels still decide. The first chunk is the one it would have
            been alone, but for solvers that remember earlier steps: they begin anew there.
        extra_steps: Repetitions of the last level without noise, which moves samples towards
            regions of higher density (Diffusion-X, Pearce et al. 2023).
        resample: Asked between two levels which chunks to replace.

    Returns:
        (B, C, L, A).
    """
    process.begin()
    x = noise[:, :1, 0] if shared_steps else noise[:, :, 0]
    clean = x
    for level in range(process.steps):
        if level == shared_steps > 0:
            x = _branch(process, x, clean, noise[:, :, -1], level)
        elif resample is not None and level:
            x = _resampled(process, resample, x, clean, level)
        if known is not None:
            start = noise[:, : x.shape[1], 0]
            x = known.put_softly(x, process.noised(known.actions[:, None], start, level))
        prediction = predict(x, process.network_time(level))
        if resample is not None or level + 1 == shared_steps:
            clean = process.clean(prediction, x, level)
        random = noise[:, : x.shape[1], 1 + level] if _is_random(process, level) else None
        x = process.step(prediction, x, level, random)
    last = process.steps - 1
    for _ in range(extra_steps):
        prediction = predict(x, process.network_time(last))
        x = process.clean(prediction, x, last)
    return x if known is None else known.put(x, known.actions[:, None])


def draws_needed(process: Process, *, shared_steps: int) -> int:
    """Noise chunks per candidate, D."""
    return process.draws + (1 if shared_steps else 0)


def _is_random(process: Process, level: int) -> bool:
    return process.draws > 1 + level


def _resampled(
    process: Process, resample: Resample, x: Tensor, clean: Tensor, level: int
) -> Tensor:
    replaced = resample(clean, level)
    if replaced is None:
        return x
    process.forget()
    where, by = replaced
    return torch.where(where, by, x)


def _branch(process: Process, x: Tensor, clean: Tensor, noise: Tensor, level: int) -> Tensor:
    others = process.noised(clean, noise[:, 1:], level)
    process.forget()
    return torch.cat([x, others], dim=1)
