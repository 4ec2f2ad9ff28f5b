"""What a run would take, from a few real steps; nothing is written."""

import resource
import time
from collections.abc import Mapping
from dataclasses import dataclass

import torch

from robot_policy.training.loop import Trainer

_WARMUP_STEPS = 3
_LEAST_STEPS = 5
_LEAST_S = 3.0


@dataclass(frozen=True)
class Estimate:
    """What was measured.

    Attributes:
        parameters: Number in all.
        modules: Number per top-level part of the policy.
        steps: Gradient steps of the whole run.
        batch_size: Windows per step, over all processes.
        processes: That train together.
        device: Of this process.
        steps_per_s: Rate after warm-up, without validation.
        validation_s: Duration of one validation [s]; 0 where nothing is kept out.
        peak_memory_bytes: Of the GPU, or of the program on a CPU; of this process.
        duration_s: Expected for the whole run, validations included, evaluations not [s].
    """

    parameters: int
    modules: Mapping[str, int]
    steps: int
    batch_size: int
    processes: int
    device: str
    steps_per_s: float
    validation_s: float
    peak_memory_bytes: int
    duration_s: float


def estimate(trainer: Trainer) -> Estimate:
    """Takes some steps of a run that is then thrown away."""
    trainer.module.train()
    with trainer.prefetcher:
        for step in range(_WARMUP_STEPS):
            trainer._step(step)
        taken, start_s = 0, time.perf_counter()
        # Every process must take as many steps, so none may decide by its own clock.
        wanted = _LEAST_STEPS
        while taken < wanted:
            trainer._step(_WARMUP_STEPS + taken)
            taken += 1
            if taken == _LEAST_STEPS:
                step_s = trainer.largest((time.perf_counter() - start_s) / taken)
                wanted = max(_LEAST_STEPS, round(_LEAST_S / step_s))
        _synchronize(trainer.device)
        rate = taken / (time.perf_counter() - start_s)
    if trainer.config.compile:
        trainer.validate()  # compiles once more, for weights without gradients
    start_s = time.perf_counter()
    validated = trainer.validate() is not None
    validation_s = time.perf_counter() - start_s if validated else 0.0
    validations = -(-trainer.steps // trainer.config.validate_every)
    return Estimate(
        parameters=sum(p.numel() for p in trainer.module.parameters()),
        modules=parameters_by_module(trainer.module),
        steps=trainer.steps,
        batch_size=trainer.division.total,
        processes=trainer.division.processes,
        device=str(trainer.device),
        steps_per_s=rate,
        validation_s=validation_s,
        peak_memory_bytes=_peak_memory_bytes(trainer.device),
        duration_s=trainer.steps / rate + validations * validation_s,
    )


def parameters_by_module(module: torch.nn.Module) -> dict[str, int]:
    """Number of parameters per top-level part, the parts without any left out."""
    counts: dict[str, int] = {}
    for name, parameter in module.named_parameters():
        part = name.partition(".")[0]
        counts[part] = counts.get(part, 0) + parameter.numel()
    return counts


def _synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _peak_memory_bytes(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # Linux counts in KiB
