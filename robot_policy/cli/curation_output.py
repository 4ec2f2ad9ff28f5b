"""What the commands that write views have in common."""

import dataclasses
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from robot_policy.core.errors import ConfigError
from robot_policy.data.curation.curated import Curated
from robot_policy.data.curation.view import View


def require_new_view(path: Path, *, option: str = "--output") -> None:
    """Refuses a place for a view that is taken, or would not be recognised.

    Raises:
        ConfigError: If it is either.
    """
    if path.suffix != ".json":
        raise ConfigError("a view ends in .json", where=option, got=path)
    if path.exists():
        raise ConfigError(
            "exists and will not be overwritten", where=path, hint=f"choose another {option}"
        )


def made_by(view: View, command: str, config: Any) -> View:
    """Returns the view with the command that made it, as a person would type it again."""
    words = ["robot-policy", "data", command]
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if value == field.default or field.name == "output":
            continue
        values = [str(v) for v in value] if isinstance(value, tuple) else [str(value)]
        words += values if field.name in ("path", "paths") else [f"--{field.name}", *values]
    return dataclasses.replace(view, made_by=(*view.made_by, shlex.join(words)))


def tell(output: Path, curated: Curated, positions: Sequence[int]) -> None:
    """Prints what a view came to."""
    print(
        f"{output}: {len(positions)} of {len(curated.episodes)} episodes, "
        f"{curated.frames(positions)} frames"
    )
