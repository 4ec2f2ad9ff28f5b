"""`robot-policy data split`: views of random parts of a dataset."""

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional

from robot_policy.cli.curation_output import made_by, require_new_view, tell
from robot_policy.data.curation.condition import Condition
from robot_policy.data.curation.curated import Curated
from robot_policy.data.curation.split import parse_parts, split


@dataclass(frozen=True)
class SplitConfig:
    """Divide the episodes at random; nothing is copied.

    Every part becomes a view in the output folder, called after its name.
    """

    path: Positional[Path]
    """Dataset or view."""
    output: Path
    """Folder for the views."""
    parts: tuple[str, ...] = ("train=0.9", "test=0.1")
    """Names and shares of the parts; what they leave is in none."""
    by: str = ""
    """Expression whose mix is kept in every part, for example outcome, or "task"."""
    seed: int = 0
    """Of the choice."""


def run(config: SplitConfig) -> int:
    """Writes the views, all or none."""
    parts = parse_parts(config.parts, where="--parts")
    outputs = {name: config.output / f"{name}.json" for name in parts}
    for output in outputs.values():
        require_new_view(output)
    curated = Curated.open(config.path)
    groups = [0] * len(curated.episodes)
    if config.by:
        groups = list(map(str, curated.values(Condition.parse(config.by, where="--by"))))
    chosen = split(groups, parts, seed=config.seed)
    for name, positions in chosen.items():
        made_by(curated.view.select(positions), "split", config).save(outputs[name])
        tell(outputs[name], curated, positions)
    return 0
