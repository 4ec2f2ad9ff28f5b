"""Every dataset folder has a card and a recipe that `collect` understands."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
import tyro

from robot_policy.cli.collect import CollectConfig
from sim.registry import TASKS

FOLDER = Path(__file__).resolve().parents[2] / "datasets"


def load_prepare() -> ModuleType:
    spec = importlib.util.spec_from_file_location("prepare", FOLDER / "prepare.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


prepare = load_prepare()


@pytest.mark.parametrize("name", prepare.recipe_names())
def test_a_recipe_is_a_command_line(name: str) -> None:
    arguments = prepare.collect_arguments(name, ["--episodes", "3", "--resume"])
    config = tyro.cli(CollectConfig, args=arguments[1:])
    assert config.task in TASKS
    assert config.output == FOLDER.parent / "data" / name
    assert config.episodes == 3
    assert config.resume
    assert (FOLDER / name / "README.md").read_text().startswith(f"# {name}\n")


def test_every_task_has_a_recipe() -> None:
    tasks = {prepare.collect_arguments(name)[1] for name in prepare.recipe_names()}
    assert tasks == set(TASKS)


def test_an_unknown_recipe_lists_the_valid_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert prepare.main(["lift"]) == 2
    assert "lift_scripted" in capsys.readouterr().out
