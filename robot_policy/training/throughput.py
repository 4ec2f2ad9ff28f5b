"""How many samples per second policies learn from, measured in turns."""

import time
from collections.abc import Sequence
from contextlib import ExitStack

import torch

from robot_policy.training.loop import Trainer

_WARMUP_STEPS = 3


def samples_per_second(
    trainers: Sequence[Trainer], *, turns: int, steps_per_turn: int
) -> list[list[float]]:
    """Takes real training steps: batch, forward, backward, optimiser, moving average.

    The trainers take turns, so that a slow spell of the machine hits all of them.

    Args:
        trainers: One per policy; their weights change, nothing is written.
        turns: Of each trainer.
        steps_per_turn: Gradient steps in a turn.

    Returns:
        Per trainer the rate of every turn [1/s].
    """
    rates: list[list[float]] = [[] for _ in trainers]
    with ExitStack() as stack:
        for trainer in trainers:
            trainer.module.train()
            stack.enter_context(trainer.prefetcher)
            _take_steps(trainer, first=0, count=_WARMUP_STEPS)
        for turn in range(turns):
            first = _WARMUP_STEPS + turn * steps_per_turn
            for trainer, measured in zip(trainers, rates, strict=True):
                duration_s = _take_steps(trainer, first=first, count=steps_per_turn)
                measured.append(steps_per_turn * trainer.division.total / duration_s)
    return rates


def _take_steps(trainer: Trainer, *, first: int, count: int) -> float:
    """Returns how long `count` steps took [s]."""
    start_s = time.perf_counter()
    for step in range(first, first + count):
        trainer._step(step)
    if trainer.device.type == "cuda":
        torch.cuda.synchronize(trainer.device)
    return time.perf_counter() - start_s
