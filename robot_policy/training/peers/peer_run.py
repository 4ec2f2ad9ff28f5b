"""A training of another library's own on one of our datasets: settings and outcome."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from robot_policy.core.episode import Success
from robot_policy.core.errors import ConfigError, DataError
from robot_policy.data.store import EpisodeStore
from robot_policy.data.windows import split_episodes

type Progress = Callable[[int, float], None]
"""Is told steps done and the loss."""


@dataclass(frozen=True)
class PeerRunConfig[P]:
    """Settings of a training by another library's own program."""

    dataset: Path
    """Dataset to learn from."""
    output: Path
    """New folder: the library's own run, its log, and the adopted checkpoint."""
    policy: P
    """Hyper-parameters of the policy, under the library's names."""
    steps: int = 3000
    """Gradient steps."""
    batch_size: int = 128
    """Windows per gradient step; steps times this is the number of samples seen."""
    lr: float | None = None
    """Learning rate; the library's own if not given. All else of its optimiser is its own."""
    scale_environment_state: bool = True
    """Let lerobot scale the privileged state like the proprioception, which by default it leaves
    as it is. robomimic scales neither."""
    successes_only: bool = True
    """Leave out episodes marked as failures."""
    validation_fraction: float = 0.05
    """Fraction of the episodes kept out, the same ones as in `train` with this seed."""
    workers: int = -1
    """Processes that load data; -1 for one per core (at most 16) for lerobot, which takes longer
    to load a batch of states than to learn from it, and none for robomimic, which has all data in
    memory."""
    device: str = "auto"
    """cpu, cuda, or auto."""
    seed: int = 0
    """Of the library's randomness and of the split."""
    json: Path | None = None
    """Write a summary of the run to this file."""

    def __post_init__(self) -> None:
        for name, least in (("steps", 1), ("batch_size", 1), ("workers", -1), ("seed", 0)):
            if getattr(self, name) < least:
                raise ConfigError(
                    "too small",
                    where=f"--{name.replace('_', '-')}",
                    expected=f">= {least}",
                    got=getattr(self, name),
                )
        if self.lr is not None and self.lr <= 0:
            raise ConfigError("must be positive", where="--lr", got=self.lr)


@dataclass(frozen=True)
class PeerRun:
    """Outcome of a training.

    Attributes:
        source: What the library wrote, to be adopted.
        steps: Gradient steps done.
        samples: Windows seen.
        steps_per_s: Rate of the training itself, without start and end.
        loading_s: Mean time per step spent waiting for data [s].
    """

    source: Path
    steps: int
    samples: int
    steps_per_s: float
    loading_s: float


def training_episodes(store: EpisodeStore, config: PeerRunConfig) -> list[int]:
    """Returns the episodes to learn from.

    Raises:
        DataError: If nothing is left to learn from.
    """
    chosen, _ = split_episodes(store, config.validation_fraction, config.seed)
    if config.successes_only:
        chosen = [i for i in chosen if store.episodes[i].success != Success.NO]
    if not chosen:
        raise DataError("no episode to learn from", where=config.dataset)
    return [int(i) for i in chosen]
