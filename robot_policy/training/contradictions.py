"""Settings that contradict each other, or what they are used on; each refusal names both sides."""

from collections.abc import Collection, Sequence

import torch

from robot_policy.core.errors import ConfigError
from robot_policy.core.specs import PolicySpec
from robot_policy.training.config import TrainConfig


def check_given(given: Collection[str], config: TrainConfig) -> None:
    """Refuses options that were typed together and exclude each other.

    Defaults are no contradiction: a default warm-up may be longer than a run that is only tried.

    Args:
        given: Options on the command line, as ``--steps``.
        config: What was made of them.

    Raises:
        ConfigError: If two exclude each other.
    """
    for one, other in (("--steps", "--epochs"), ("--seed", "--seeds")):
        if one in given and other in given:
            raise ConfigError("only one of the two can be given", where=f"{one} and {other}")
    warmup = config.optimizer.warmup_steps
    if "--optimizer.warmup-steps" in given and config.epochs is None and warmup > config.steps:
        raise ConfigError(
            "the warm-up is longer than the run",
            where="--optimizer.warmup-steps and --steps",
            expected=f"a warm-up of at most {config.steps} steps",
            got=warmup,
        )


def check_context(spec: PolicySpec, lengths: Sequence[int]) -> None:
    """Refuses a context that no episode fills: all that it would learn from is padding.

    Args:
        spec: Of the policy.
        lengths: Steps of the episodes that it learns from.

    Raises:
        ConfigError: If even the longest episode is shorter.
    """
    context, longest = (spec.history - 1) * spec.history_stride + 1, max(lengths)
    if spec.history > 1 and context > longest:
        raise ConfigError(
            "the context is longer than every episode",
            where="history and history_stride",
            expected=f"at most {longest} steps",
            got=f"{context} steps, {spec.history} observations {spec.history_stride} apart",
        )


def check_precision(config: TrainConfig, device: torch.device) -> None:
    """Refuses half precision where the device cannot train in it.

    Raises:
        ConfigError: If it cannot.
    """
    if config.precision == "float16" and device.type == "cpu":
        raise ConfigError(
            "float16 needs a GPU",
            where=f"--precision float16 on --device {config.device}",
            valid=["float32", "bfloat16"],
        )


def check_division(config: TrainConfig, *, processes: int, batch_size: int) -> None:
    """Refuses a batch that the processes and their accumulated parts cannot share evenly.

    Args:
        config: Settings.
        processes: That train together.
        batch_size: Windows per gradient step; fewer than asked for where there are not as many.

    Raises:
        ConfigError: If a part would have more rows than another, and so count less.
    """
    parts = processes * config.accumulate
    if batch_size % parts == 0:
        return
    raise ConfigError(
        "the batch cannot be shared evenly"
        if batch_size == config.batch_size
        else f"the dataset has only {batch_size} windows, which cannot be shared evenly",
        where=f"--batch-size over {processes} processes and --accumulate {config.accumulate}",
        expected=f"a multiple of {parts}",
        got=batch_size,
    )


def check_evaluation(config: TrainConfig, spec: PolicySpec) -> None:
    """Refuses evaluations that would execute more actions than a chunk holds.

    Raises:
        ConfigError: If they would.
    """
    execute_steps = config.evaluate.execute_steps
    if config.evaluate.task is None or execute_steps is None:
        return
    if execute_steps > spec.horizon:
        raise ConfigError(
            "more actions than the horizon of the policy",
            where="--evaluate.execute-steps and the hyper-parameters that set the horizon",
            expected=f"at most {spec.horizon}",
            got=execute_steps,
        )
