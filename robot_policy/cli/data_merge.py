"""`robot-policy data merge`: one view of several datasets."""

from dataclasses import dataclass
from functools import reduce
from pathlib import Path

from tyro.conf import Positional

from robot_policy.cli.curation_output import made_by, require_new_view
from robot_policy.core.errors import ConfigError
from robot_policy.data.curation.curated import Curated
from robot_policy.data.curation.view import View
from robot_policy.data.formats.registry import detect_format


@dataclass(frozen=True)
class MergeConfig:
    """Join datasets of the same robot; nothing is copied.

    The view holds what all of them hold: a camera that one lacks is left out.
    """

    paths: Positional[tuple[Path, ...]]
    """Datasets and views."""
    output: Path
    """View file to write, ending in .json."""


def run(config: MergeConfig) -> int:
    """Writes the view."""
    if len(config.paths) < 2:
        raise ConfigError("nothing to join", where="data merge", expected="two datasets or more")
    require_new_view(config.output)
    opened = [Curated.open(path) for path in config.paths]
    view = reduce(View.followed_by, (curated.view for curated in opened))
    left_out = _check_together(made_by(view, "merge", config), config.output)
    frames = sum(episode.length for curated in opened for episode in curated.episodes)
    print(f"{config.output}: {len(view)} episodes, {frames} frames")
    for line in left_out:
        print(f"  left out: {line}")
    return 0


def _check_together(view: View, output: Path) -> list[str]:
    """Writes the view if it opens."""
    view.save(output)
    try:
        return list(detect_format(output).open(output).left_out)
    except BaseException:
        output.unlink()
        raise
