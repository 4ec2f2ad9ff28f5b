"""The learning rate over a run: linear warm-up, then a cosine to zero."""

import math

from robot_policy.training.config import OptimizerConfig


def learning_rate(config: OptimizerConfig, step: int, *, steps: int) -> float:
    """Learning rate of gradient step `step`, counted from 0, of `steps` in all.

    lr (step + 1) / W in a warm-up of W steps, then lr (1 + cos(pi p)) / 2 with p from 0 to 1.
    """
    warmup = config.warmup_steps
    if step < warmup:
        return config.lr * (step + 1) / warmup
    progress = (step - warmup) / max(1, steps - warmup)
    return config.lr * 0.5 * (1.0 + math.cos(math.pi * min(1.0, progress)))
