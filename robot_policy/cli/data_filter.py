"""`robot-policy data filter`: a view of the episodes that meet a condition."""

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional

from robot_policy.cli.curation_output import made_by, require_new_view, tell
from robot_policy.core.errors import ConfigError, DataError
from robot_policy.data.curation.curated import Curated


@dataclass(frozen=True)
class FilterConfig:
    """Choose episodes by what is known of them; nothing is copied.

    The output is a view: a small file that names the dataset and the chosen episodes, and is read
    wherever a dataset is.
    """

    path: Positional[Path]
    """Dataset or view."""
    output: Path
    """View file to write, ending in .json."""
    where: str = ""
    """Condition, for example "success and length < 200 and 'cube' in task". Fields are episode,
    length, duration_s, success, outcome, task, dataset, and every label and entry of the
    metadata."""
    episodes: str = ""
    """Numbers of episodes, for example 0-9,12."""


def run(config: FilterConfig) -> int:
    """Writes the view."""
    if not config.where and not config.episodes:
        raise ConfigError("nothing to choose by", where="--where or --episodes")
    require_new_view(config.output)
    curated = Curated.open(config.path)
    positions = curated.positions(where=config.where, episodes=config.episodes)
    if not positions:
        raise DataError("no episode is left", where=config.path, got=config.where)
    view = made_by(curated.view.select(positions), "filter", config)
    view.save(config.output)
    tell(config.output, curated, positions)
    return 0
