"""What a resumed run must have in common with the run it goes on with."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from robot_policy.checkpoint import check_unchanged, load_spec, load_statistics, statistics_to_json
from robot_policy.core.errors import ConfigError, DataError
from robot_policy.core.files import read_json
from robot_policy.core.specs import PolicySpec, check_runs_on
from robot_policy.core.transforms import Statistics
from robot_policy.training.config import TrainConfig, config_to_json
from robot_policy.training.pipeline import used_statistics
from robot_policy.training.run_folder import RunFolder

# Settings that may differ between a run and its resumption without changing what is learned. The
# dataset may have moved; that it is the same one is checked by what it holds.
_FREE_TO_CHANGE = frozenset(
    {"dataset", "output", "cache", "resume", "dry_run", "steps", "epochs", "device", "threads",
     "workers", "compile", "accumulate", "evaluate", "validate_every", "checkpoint_every",
     "keep_checkpoints", "seeds", "tensorboard", "wandb", "json"}
)  # fmt: skip


def check_same_settings(folder: RunFolder, name: str, config: TrainConfig) -> None:
    """Refuses to go on with a run under other settings than it was begun with.

    Settings that did not exist when the run was begun count as their defaults.

    Raises:
        CheckpointError: If there is nothing to resume.
        ConfigError: If a setting differs.
    """
    folder.last_checkpoint()
    defaults = type(config)(config.dataset, config.output, type(config.policy)())
    before = dict(_leaves(config_to_json(name, defaults)))
    before |= dict(_leaves(read_json(folder.config)))
    now = dict(_leaves(config_to_json(name, config)))
    for key in sorted(before.keys() | now.keys()):
        if key.partition(".")[0] not in _FREE_TO_CHANGE and before.get(key) != now.get(key):
            raise ConfigError(
                "a resumed run must have the settings it was begun with",
                where=f"--{key.replace('_', '-')}",
                expected=before.get(key),
                got=now.get(key),
            )


def _leaves(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def check_same_data(
    checkpoint: Path, datasets: Sequence[Path], *, spec: PolicySpec, statistics: Statistics
) -> None:
    """Refuses to go on with a run on data that are not those it was begun with.

    Raises:
        CheckpointError: If the checkpoint has been changed, or is of another version.
        DataError: If the data are others.
    """
    where = f"dataset {', '.join(map(str, datasets))}"
    check_unchanged(checkpoint)
    check_runs_on(load_spec(checkpoint), spec, where=where)
    now = statistics_to_json(used_statistics(statistics, spec))
    for key, before in statistics_to_json(load_statistics(checkpoint)).items():
        if before != now.get(key):
            raise DataError(
                "not the data this run was begun with", where=where, got=f"another {key}"
            )
