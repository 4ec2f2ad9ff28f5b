"""The same run under several seeds, one after the other, each in a folder of its own."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from robot_policy.core.errors import RobotPolicyError
from robot_policy.core.files import require_new_folder
from robot_policy.training.config import TrainConfig
from robot_policy.training.loop import TrainResult
from robot_policy.training.run_folder import RunFolder


@dataclass(frozen=True)
class SeedOutcome:
    """What became of one seed.

    Attributes:
        seed: Of the run.
        result: Of the run; None if it failed.
        error: Why it failed, empty if it did not.
    """

    seed: int
    result: TrainResult | None
    error: str = ""


def train_seeds(
    config: TrainConfig,
    *,
    train: Callable[[TrainConfig], TrainResult],
    ended: Callable[[SeedOutcome], None],
) -> list[SeedOutcome]:
    """Trains once per seed of `config`, into ``seed-<n>`` folders under its output.

    A seed that fails, by a loss that is not finite for example, does not keep the others from
    running. With ``resume`` every seed goes on where it was, or begins if it never did.

    Args:
        config: Settings but for the seed.
        train: Does one run.
        ended: Told of every seed when it is through.

    Raises:
        ConfigError: If the output folder exists and the runs are not to be resumed.
    """
    if not config.resume:
        require_new_folder(config.output)
    outcomes: list[SeedOutcome] = []
    for seed in config.seeds:
        settings = seed_config(config, seed)
        try:
            outcome = SeedOutcome(seed, train(settings))
        except RobotPolicyError as error:
            outcome = SeedOutcome(seed, None, str(error))
        outcomes.append(outcome)
        ended(outcome)
    return outcomes


def seed_config(config: TrainConfig, seed: int) -> TrainConfig:
    """Settings of the run of one seed."""
    output = config.output / f"seed-{seed}"
    resume = config.resume and RunFolder(output).last.is_dir()
    return replace(config, seed=seed, seeds=(), output=output, resume=resume, json=None)


def summary(outcomes: Sequence[SeedOutcome]) -> dict[str, dict[str, Any]]:
    """Mean and standard deviation over the seeds of what every finished run has.

    Returns:
        Name of the figure to ``mean``, ``std`` (of the sample; None of a single one) and ``seeds``.
    """
    results = [outcome.result for outcome in outcomes if outcome.result is not None]
    figures = {
        "loss": [r.loss for r in results],
        "validation_loss": [r.validation_loss for r in results],
        "best_success_rate": [r.best.success_rate if r.best else None for r in results],
    }
    out: dict[str, dict[str, Any]] = {}
    for name, found in figures.items():
        values = [value for value in found if value is not None]
        if values:
            std = statistics.stdev(values) if len(values) > 1 else None
            out[name] = {"mean": statistics.mean(values), "std": std, "seeds": len(values)}
    return out
