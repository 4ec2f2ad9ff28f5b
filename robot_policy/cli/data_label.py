"""`robot-policy data label`: says something about episodes."""

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional

from robot_policy.cli.curation_output import made_by, require_new_view
from robot_policy.core.errors import ConfigError, DataError
from robot_policy.data.curation.curated import Curated
from robot_policy.data.curation.labels import parse_labels
from robot_policy.data.curation.view import is_view


@dataclass(frozen=True)
class LabelConfig:
    """Set outcome, quality or any other label of episodes, in a view; the dataset stays as it is.

    Labels are fields for --where, are seen by training, and are written out by `data convert`.
    """

    path: Positional[Path]
    """Dataset or view."""
    set: tuple[str, ...]
    """Labels, for example success=no quality=poor score=0.5. success is yes, no or unknown."""
    output: Path | None = None
    """View file to write, ending in .json; a view may be changed in place instead."""
    where: str = ""
    """Condition for episodes to label, as in `data filter`."""
    episodes: str = ""
    """Numbers of episodes to label, for example 0-9,12."""


def run(config: LabelConfig) -> int:
    """Writes the view, with all episodes."""
    labels = parse_labels(config.set, where="--set")
    if config.output is None and not is_view(config.path):
        raise ConfigError(
            "a dataset is not changed",
            where=config.path,
            hint="--output VIEW.json takes the labels",
        )
    if config.output is not None:
        require_new_view(config.output)
    curated = Curated.open(config.path)
    positions = curated.positions(where=config.where, episodes=config.episodes)
    if not positions:
        raise DataError("no episode to label", where=config.path, got=config.where)
    output = config.output or config.path
    made_by(curated.view.labelled(positions, labels), "label", config).save(output)
    print(f"{output}: {len(positions)} of {len(curated.episodes)} episodes labelled")
    return 0
