"""Finds the windows that made a loss NaN or infinite, and says so in one line."""

from collections.abc import Sequence

import torch
from accelerate.utils import gather_object

from robot_policy.core.errors import RobotPolicyError
from robot_policy.nets.draws import Draws
from robot_policy.nets.trainable import Batch, TrainableModule
from robot_policy.training.data import BatchSource
from robot_policy.training.gradient_step import NonFiniteLossError, rows_of
from robot_policy.training.processes import Division

_NAMED = 4


def describe(
    error: NonFiniteLossError,
    *,
    step: int,
    module: TrainableModule,
    batch: Batch,
    batches: BatchSource,
    division: Division,
    seed: int,
) -> RobotPolicyError:
    """Makes the error a person sees; every process must call it, each with its rows of the batch.

    Args:
        error: What happened.
        step: Gradient step it happened in.
        module: As it was before the step.
        batch: Rows of this process.
        batches: Knows where a row comes from.
        division: Who computes which rows.
        seed: Of the run.
    """
    here = bad_rows(
        module, batch, step=step, first=division.rows.start, division=division, seed=seed
    )
    rows = sorted(gather_object(here))
    named = rows[:_NAMED] or list(range(min(_NAMED, division.total)))
    windows = batches.describe(step, named)
    more = ", …" if max(len(rows), division.total * (not rows)) > len(named) else ""
    which = f"{len(rows)} of {division.total} rows" if rows else "no single row is to blame"
    return RobotPolicyError(
        f"the {error.what} is not finite; the weights and the last checkpoint are kept",
        where=f"gradient step {step}",
        got=error.value,
        hint=f"{which} in {windows}{more}; a smaller --optimizer.lr may help",
    )


@torch.no_grad()
def bad_rows(
    module: TrainableModule, batch: Batch, *, step: int, first: int, division: Division, seed: int
) -> list[int]:
    """Rows of the whole batch whose inputs are not finite, or if all are, whose loss is not.

    Args:
        module: As it was before the step.
        batch: Rows of this process.
        step: Gradient step.
        first: Row of the whole batch with which `batch` begins.
        division: Who computes which rows.
        seed: Of the run.
    """
    size = len(next(iter(batch.values())))
    finite = torch.ones(size, dtype=torch.bool)
    for value in batch.values():
        if value.is_floating_point():
            finite &= value.isfinite().flatten(1).all(1).cpu()
    if finite.all():
        # Normalisation over a batch of one is not possible; what it has learned is.
        module.eval()
        device = next(module.parameters()).device
        for row in range(size):
            whole = slice(first + row, first + row + 1)
            draws = Draws.of_step(seed, step, device=device, rows=whole, total=division.total)
            loss = module.loss(rows_of(batch, slice(row, row + 1)), draws=draws)
            finite[row] = bool(loss.isfinite())
        module.train()
    bad: Sequence[int] = (~finite).nonzero().flatten().tolist()
    return [first + row for row in bad]
