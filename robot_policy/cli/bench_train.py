"""`robot-policy bench train POLICY …`: how fast policies learn, side by side."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from robot_policy.core.errors import ConfigError, UnknownNameError
from robot_policy.core.files import write_json
from robot_policy.policies.registry import POLICIES
from robot_policy.training.config import PRESETS, TrainConfig, preset_settings

if TYPE_CHECKING:
    from robot_policy.training.loop import Trainer


@dataclass(frozen=True)
class TrainBenchConfig:
    """Samples per second of the training step of some policies on one dataset.

    A step is batch, forward, backward, optimiser and moving average. Policies take turns, so that
    a slow spell of the machine hits all of them.
    """

    policies: tyro.conf.Positional[tuple[str, ...]]
    """Names of policies, as `train` takes them."""
    dataset: Path
    """Dataset to learn from."""
    preset: str = "cpu"
    """Preset of every policy."""
    batch_size: int = 0
    """Windows per gradient step; 0 takes the preset's."""
    turns: int = 7
    """Turns of each policy."""
    steps: int = 10
    """Gradient steps per turn."""
    cameras: tuple[str, ...] = ()
    """Cameras to learn from."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Arithmetic of the networks."""
    device: str = "auto"
    """cpu, cuda, or auto."""
    threads: int = 0
    """CPU threads, 0 for all."""
    json: Annotated[Path | None, tyro.conf.arg(help="Write the figures to this file.")] = None


def run(config: TrainBenchConfig) -> int:
    """Prints the median over the turns, and each policy's rate over the first one's."""
    _check(config)
    from robot_policy.training.loop import Trainer  # seconds of torch
    from robot_policy.training.throughput import samples_per_second

    trainers = [_trainer(Trainer, name, config) for name in config.policies]
    rates = samples_per_second(trainers, turns=config.turns, steps_per_turn=config.steps)
    rows = [
        _row(trainer, measured, rates[0]) for trainer, measured in zip(trainers, rates, strict=True)
    ]
    _show(rows, config)
    if config.json is not None:
        settings = {"dataset": str(config.dataset), "preset": config.preset}
        write_json(config.json, {**settings, "rows": rows})
    return 0


def _check(config: TrainBenchConfig) -> None:
    if not config.policies:
        raise ConfigError("no policy given", where="bench train", valid=POLICIES)
    for name in config.policies:
        if name not in POLICIES:
            raise UnknownNameError.of("policy", name, POLICIES)
    if config.preset not in PRESETS:
        raise UnknownNameError.of("preset", config.preset, PRESETS)
    for name, least in (("batch_size", 0), ("turns", 1), ("steps", 1), ("threads", 0)):
        if getattr(config, name) < least:
            where = f"--{name.replace('_', '-')}"
            raise ConfigError("too small", where=where, expected=f">= {least}")


def _trainer(trainer_class: "type[Trainer]", name: str, config: TrainBenchConfig) -> "Trainer":
    settings = preset_settings(POLICIES[name], config.preset)
    if config.batch_size:
        settings["batch_size"] = config.batch_size
    return trainer_class(
        name,
        TrainConfig(
            **settings,
            dataset=(config.dataset,),
            output=Path("unused"),  # a dry run writes nothing
            dry_run=True,
            cameras=config.cameras,
            precision=config.precision,
            device=config.device,
            threads=config.threads,
        ),
    )


def _row(trainer: "Trainer", rates: Sequence[float], reference: Sequence[float]) -> dict[str, Any]:
    # Turn by turn, because what slows one down slows its neighbour down too.
    relative = [rate / other for rate, other in zip(rates, reference, strict=True)]
    return {
        "policy": trainer.name,
        "parameters": sum(p.numel() for p in trainer.module.parameters()),
        "batch_size": trainer.division.total,
        "device": trainer.device.type,
        "samples_per_s": round(median(rates), 1),
        "turns": [round(rate, 1) for rate in rates],
        "relative": round(median(relative), 3),
    }


def _show(rows: list[dict[str, Any]], config: TrainBenchConfig) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(
        *("policy", "parameters [M]", "batch", "samples/s", "lowest", "highest", "of the first"),
        title=f"training step on {config.dataset}, {rows[0]['device']}",
    )
    for row in rows:
        table.add_row(
            row["policy"],
            f"{row['parameters'] / 1e6:.2f}",
            str(row["batch_size"]),
            f"{row['samples_per_s']:.0f}",
            f"{min(row['turns']):.0f}",
            f"{max(row['turns']):.0f}",
            f"{row['relative']:.2f}",
        )
    Console().print(table)
