"""The loss of the averaged weights on windows that are kept out of training."""

from contextlib import AbstractContextManager

import torch

from robot_policy.nets.draws import Draws
from robot_policy.nets.trainable import Batch, TrainableModule
from robot_policy.training.ema import Ema
from robot_policy.training.gradient_step import rows_of


@torch.no_grad()
def validation_loss(
    module: TrainableModule,
    ema: Ema,
    batch: Batch,
    *,
    rows_at_once: int,
    seed: int,
    autocast: AbstractContextManager[None],
) -> float:
    """Mean loss over the rows of `batch`, with noise of its own so that training is not disturbed.

    Args:
        module: Comes back with the weights it had, in training mode.
        ema: Weights to judge.
        batch: Everything that is kept out.
        rows_at_once: Limits the memory this takes.
        seed: Of the noise, which is always the same.
        autocast: Arithmetic.
    """
    weights = {key: value.clone() for key, value in module.state_dict().items()}
    module.load_state_dict(ema.shadow)
    module.eval()
    device = next(module.parameters()).device
    total = len(next(iter(batch.values())))
    mean = 0.0
    with autocast:
        for start in range(0, total, rows_at_once):
            rows = slice(start, min(start + rows_at_once, total))
            draws = Draws.of_step(seed, 0, device=device, rows=rows, total=total)
            loss = module.loss(rows_of(batch, rows), draws=draws)
            mean += loss.item() * (rows.stop - rows.start) / total
    module.load_state_dict(weights)
    module.train()
    return mean
