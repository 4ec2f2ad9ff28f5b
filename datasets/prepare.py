"""Generates a dataset from its recipe: `python datasets/prepare.py lift_scripted [OPTIONS]`."""

import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

from robot_policy.cli.main import main as robot_policy

FOLDER = Path(__file__).resolve().parent
OUTPUT = FOLDER.parent / "data"


def recipe_names() -> list[str]:
    """Names of the datasets that have a recipe."""
    return sorted(path.parent.name for path in FOLDER.glob("*/recipe.toml"))


def collect_arguments(name: str, extra: Sequence[str] = ()) -> list[str]:
    """Returns the command line of `collect` that a recipe stands for.

    Args:
        name: Of the dataset.
        extra: More options; they come last, and the last one counts.
    """
    recipe = tomllib.loads((FOLDER / name / "recipe.toml").read_text())
    arguments = ["collect", recipe.pop("task"), "--output", str(OUTPUT / name)]
    for key, value in recipe.items():
        option = f"--{key.replace('_', '-')}"
        if isinstance(value, bool):
            arguments += [option] if value else []
        elif isinstance(value, list):
            arguments += [option, *map(str, value)]
        else:
            arguments += [option, str(value)]
    return [*arguments, *extra]


def main(arguments: Sequence[str]) -> int:
    """Returns the status of `collect`, or 2 if there is no such recipe."""
    names = recipe_names()
    if not arguments or arguments[0] not in names:
        print(f"usage: prepare.py NAME [OPTIONS OF collect]; valid: {', '.join(names)}")
        return 2
    return robot_policy(collect_arguments(arguments[0], arguments[1:]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
