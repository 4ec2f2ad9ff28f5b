"""Settings of a training run."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from robot_policy.core.errors import ConfigError

type Precision = Literal["float32", "bfloat16", "float16"]


@dataclass(frozen=True)
class OptimizerConfig:
    """AdamW with linear warm-up and a cosine to zero."""

    lr: float = 1e-4
    """Peak learning rate."""
    weight_decay: float = 1e-6
    """Decoupled weight decay; a policy may spare norms, biases and embeddings."""
    betas: tuple[float, float] = (0.95, 0.999)
    """Decay of the gradient moments."""
    warmup_steps: int = 500
    """Steps of linear warm-up."""
    clip_norm: float = 10.0
    """Largest gradient norm."""
    groups: tuple[str, ...] = ()
    """Settings of some parameters: PATTERN:lr_scale=X,weight_decay=Y, one or both, for example
    'encoder.*:lr_scale=0.1'. The pattern is matched against parameter names, lr_scale multiplies
    the learning rate; the first pattern that matches a parameter counts."""


@dataclass(frozen=True)
class EmaConfig:
    """Moving average of the weights, which is what is evaluated and served."""

    power: float = 0.75
    """The decay at step n is 1 - (1 + n)^-power."""
    max_decay: float = 0.9999
    """Largest decay."""


@dataclass(frozen=True)
class EvaluateConfig:
    """Evaluation of checkpoints in the twin, in a process beside the training."""

    task: str | None = None
    """Task of the twin; without one nothing is evaluated."""
    every: int = 0
    """Steps between evaluations."""
    episodes: int = 50
    """Starts per evaluation."""
    seed: int = 50_000
    """First seed. Demonstrations start at 0 and `eval` at 100000, so that the starts on which the
    best checkpoint is chosen are neither those it learned from nor those it is reported on."""
    execute_steps: int | None = None
    """Actions of a chunk executed before planning again; by default 8, or as many as the policy
    predicts where that is fewer."""
    workers: int = 1
    """Processes that step environments."""
    device: str = "cpu"
    """Where the evaluated policy runs."""

    def __post_init__(self) -> None:
        least = {"every": 0, "episodes": 1, "seed": 0, "execute_steps": 1, "workers": 0}
        for name, value in least.items():
            got = getattr(self, name)
            if got is not None and got < value:
                option = f"--evaluate.{name.replace('_', '-')}"
                raise ConfigError("too small", where=option, expected=f">= {value}", got=got)
        if self.task is None and self.every:
            raise ConfigError(
                "nothing to evaluate on", where="--evaluate.every without --evaluate.task"
            )
        if self.task is not None and not self.every:
            raise ConfigError("never evaluated", where="--evaluate.task without --evaluate.every")

    def due(self, step: int) -> bool:
        """Whether the checkpoint of `step` is evaluated."""
        return self.task is not None and step > 0 and step % self.every == 0


@dataclass(frozen=True)
class TrainConfig[P]:
    """Settings of a training run."""

    dataset: tuple[Path, ...]
    """Dataset to learn from, or several for the same robot and command."""
    output: Path
    """Folder of the run; refused if it exists, unless --resume."""
    policy: P
    """Hyper-parameters of the policy."""
    steps: int = 3000
    """Gradient steps."""
    epochs: float | None = None
    """Passes over the data, instead of steps."""
    batch_size: int = 128
    """Windows per gradient step, over all processes and accumulated parts."""
    accumulate: int = 1
    """Parts in which a process computes its share of a batch, for less memory."""
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    """Optimiser."""
    ema: EmaConfig = field(default_factory=EmaConfig)
    """Moving average of the weights."""
    evaluate: EvaluateConfig = field(default_factory=EvaluateConfig)
    """Evaluation in the twin during training."""
    normalization: Literal["min_max", "mean_std", "none"] = "min_max"
    """Scaling of states; that of actions belongs to the policy."""
    environment_state: bool = True
    """Learn from privileged simulator state, where the dataset has it."""
    cameras: tuple[str, ...] = ()
    """Cameras to learn from."""
    image_size: tuple[int, int] | None = None
    """Height and width that images are brought to before the network sees them, in training and
    on the arm; by default as they were recorded."""
    cache: str = "user"
    """Where decoded images are kept: user (the user's cache folder, or $ROBOT_POLICY_CACHE),
    beside the dataset, none (decoded into memory every time), or a folder."""
    dataset_weights: tuple[float, ...] = ()
    """Shares of the datasets in a batch, one each, whatever their sizes; by default every window
    counts once."""
    episode_weight: str = ""
    """How often the windows of an episode are drawn relative to others, an expression as in `data
    filter`, for example "3 if quality == 'good' else 1"; by default every window counts once."""
    intervention_weight: float = 1.0
    """How often windows are drawn that begin where a person had taken over from a policy, relative
    to demonstrations."""
    policy_weight: float = 1.0
    """How often windows are drawn that begin where the policy drove in such episodes; 0 learns from
    people only, as HG-DAgger does."""
    successes_only: bool = True
    """Leave out episodes marked as failures."""
    validation_fraction: float = 0.05
    """Fraction of the episodes kept out of training."""
    validate_every: int = 500
    """Steps between validation losses."""
    checkpoint_every: int = 1000
    """Steps between checkpoints."""
    keep_checkpoints: int = 0
    """Newest checkpoints that are kept beside the best one, 0 for all."""
    precision: Precision = "float32"
    """Arithmetic of the network; weights stay in float32."""
    compile: bool = False
    """Compile the networks with torch.compile; pays off after a minute or so."""
    device: str = "auto"
    """cpu, cuda, or auto."""
    threads: int = 0
    """CPU threads, 0 for all."""
    workers: int = 0
    """Processes that prepare batches beside each training process; 0 for a thread of its own. What
    is learned does not depend on it."""
    seed: int = 0
    """Fixes initial weights, order of the data and noise."""
    seeds: tuple[int, ...] = ()
    """Train once per seed, into OUTPUT/seed-<n>; instead of --seed."""
    tensorboard: bool = True
    """Write curves to OUTPUT/tensorboard."""
    wandb: bool = False
    """Log to Weights & Biases as well (extra `wandb`)."""
    resume: bool = False
    """Continue the run in OUTPUT from its last checkpoint."""
    dry_run: bool = False
    """Only measure: parameters, memory, rate, time of the whole run; write nothing."""
    json: Path | None = None
    """Write a summary of the run to this file."""

    def __post_init__(self) -> None:
        if isinstance(self.dataset, str | Path):  # one is as good as a tuple of one
            object.__setattr__(self, "dataset", (Path(self.dataset),))
        self._check_data()
        for name in ("steps", "batch_size", "accumulate", "validate_every", "checkpoint_every"):
            if getattr(self, name) < 1:
                raise ConfigError("must be positive", where=f"--{name.replace('_', '-')}")
        if self.keep_checkpoints < 0:
            raise ConfigError("must not be negative", where="--keep-checkpoints")
        if not 0 <= self.validation_fraction < 1:
            raise ConfigError(
                "must lie in [0, 1)", where="--validation-fraction", got=self.validation_fraction
            )
        for name in ("intervention_weight", "policy_weight"):
            if not 0.0 <= getattr(self, name) < float("inf"):
                raise ConfigError(
                    "must not be negative",
                    where=f"--{name.replace('_', '-')}",
                    got=getattr(self, name),
                )
        if self.epochs is not None and self.epochs <= 0:
            raise ConfigError("must be positive", where="--epochs", got=self.epochs)
        for name in ("cameras", "dataset", "seeds"):
            values = getattr(self, name)
            if not isinstance(values, tuple):  # what is still to be read from a command line
                continue
            twice = sorted({str(value) for value in values if values.count(value) > 1})
            if twice:
                raise ConfigError("listed twice", where=f"--{name}", got=", ".join(twice))
        if self.dry_run and self.resume:
            raise ConfigError(
                "a dry run goes on with nothing", where="--dry-run together with --resume"
            )

    def _check_data(self) -> None:
        if self.dataset == ():
            raise ConfigError("no dataset given", where="--dataset")
        if self.image_size is not None and min(self.image_size) < 1:
            raise ConfigError("must be positive", where="--image-size", got=self.image_size)
        if self.image_size is not None and not self.cameras:
            raise ConfigError("there are no images", where="--image-size without --cameras")
        if self.workers < 0:
            raise ConfigError("must not be negative", where="--workers", got=self.workers)
        weights = self.dataset_weights
        if weights and isinstance(self.dataset, tuple) and len(weights) != len(self.dataset):
            raise ConfigError(
                "one weight for each dataset",
                where="--dataset-weights",
                expected=len(self.dataset),
                got=len(weights),
            )


def preset_settings(policy_class: Any, preset: str) -> dict[str, Any]:
    """Settings of a run that a policy has under a preset: its own and those of the machine.

    Args:
        policy_class: A `PolicyModule`.
        preset: A name in `PRESETS`.
    """
    defaults = PRESETS[preset]
    optimizer = policy_class.optimizer_defaults.get(preset, {})
    return {
        "policy": policy_class.presets[preset],
        "steps": defaults.steps,
        "batch_size": defaults.batch_size,
        "optimizer": dataclasses.replace(defaults.optimizer, **optimizer),
        "normalization": policy_class.state_normalization,
    }


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
