"""Settings of a training run."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from robot_policy.core.errors import ConfigError


@dataclass(frozen=True)
class OptimizerConfig:
    """AdamW with linear warm-up and a cosine to zero."""

    lr: float = 1e-4
    """Peak learning rate."""
    weight_decay: float = 1e-6
    """Decoupled weight decay."""
    betas: tuple[float, float] = (0.95, 0.999)
    """Decay of the gradient moments."""
    warmup_steps: int = 500
    """Steps of linear warm-up."""
    clip_norm: float = 10.0
    """Largest gradient norm."""


@dataclass(frozen=True)
class EmaConfig:
    """Moving average of the weights, which is what is evaluated and served."""

    power: float = 0.75
    """The decay at step n is 1 - (1 + n)^-power."""
    max_decay: float = 0.9999
    """Largest decay."""


@dataclass(frozen=True)
class TrainConfig[P]:
    """Settings of a training run."""

    dataset: Path
    """Dataset to learn from."""
    output: Path
    """Folder of the run; refused if it exists, unless --resume."""
    policy: P
    """Hyper-parameters of the policy."""
    steps: int = 3000
    """Gradient steps."""
    epochs: float | None = None
    """Passes over the data, instead of steps."""
    batch_size: int = 128
    """Windows per gradient step."""
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    """Optimiser."""
    ema: EmaConfig = field(default_factory=EmaConfig)
    """Moving average of the weights."""
    normalization: Literal["min_max", "mean_std"] = "min_max"
    """Scaling of states; actions are always scaled to [-1, 1]."""
    environment_state: bool = True
    """Learn from privileged simulator state, where the dataset has it."""
    cameras: tuple[str, ...] = ()
    """Cameras to learn from."""
    successes_only: bool = True
    """Leave out episodes marked as failures."""
    validation_fraction: float = 0.05
    """Fraction of the episodes kept out of training."""
    validate_every: int = 500
    """Steps between validation losses."""
    checkpoint_every: int = 1000
    """Steps between checkpoints."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Arithmetic of the network; weights stay in float32."""
    device: str = "auto"
    """cpu, cuda, or auto."""
    threads: int = 0
    """CPU threads, 0 for all."""
    seed: int = 0
    """Fixes initial weights, order of the data and noise."""
    tensorboard: bool = True
    """Write curves to OUTPUT/tensorboard."""
    wandb: bool = False
    """Log to Weights & Biases as well (extra `wandb`)."""
    resume: bool = False
    """Continue the run in OUTPUT from its last checkpoint."""
    json: Path | None = None
    """Write a summary of the run to this file."""

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "validate_every", "checkpoint_every"):
            if getattr(self, name) < 1:
                raise ConfigError("must be positive", where=f"--{name.replace('_', '-')}")
        if not 0 <= self.validation_fraction < 1:
            raise ConfigError(
                "must lie in [0, 1)", where="--validation-fraction", got=self.validation_fraction
            )
        if self.epochs is not None and self.epochs <= 0:
            raise ConfigError("must be positive", where="--epochs", got=self.epochs)


@dataclass(frozen=True)
class RunPreset:
    """Settings of a run that go with a size of machine."""

    steps: int
    batch_size: int
    optimizer: OptimizerConfig


PRESETS: Mapping[str, RunPreset] = {
    "cpu": RunPreset(steps=3000, batch_size=128, optimizer=OptimizerConfig(lr=1e-3)),
    "gpu": RunPreset(steps=100_000, batch_size=256, optimizer=OptimizerConfig()),
}
"""Every policy has hyper-parameters under these names too."""


def config_to_json(name: str, config: TrainConfig) -> dict[str, Any]:
    """Returns the settings of a run, JSON-ready, with the policy's name."""
    return {"policy_name": name, **_jsonable(dataclasses.asdict(config))}


def _jsonable(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _jsonable(item) for key, item in value.items()}
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, tuple | list):
        return [_jsonable(item) for item in value]
    return value
