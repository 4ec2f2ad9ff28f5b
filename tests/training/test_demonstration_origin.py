"""`data view --policy`: the page tells which demonstration an action would come from."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from robot_policy.cli.demonstration_origin import DemonstrationOrigin
from robot_policy.cli.main import main
from robot_policy.core.errors import ConfigError
from robot_policy.data.formats.registry import FORMATS
from robot_policy.policies.bc import BcConfig
from robot_policy.policies.mcnn import McnnConfig
from robot_policy.policies.retrieval import RetrievalConfig
from robot_policy.training.config import TrainConfig
from robot_policy.training.loop import Trainer

from .conftest import SPEC, reach

POLICIES = {
    "nearest": ("retrieval", RetrievalConfig(neighbours=1, horizon=4)),
    "vinn": ("retrieval", RetrievalConfig(horizon=4)),
    "follow": ("retrieval", RetrievalConfig(horizon=4, follow=True, history=4)),
    "mcnn": (
        "mcnn",
        McnnConfig(memories=1.0, choice="random", backbone_options=("horizon=4", "hidden=8")),
    ),
    "bc": ("bc", BcConfig(horizon=4, hidden=(8,))),
}


@pytest.fixture(scope="module")
def demonstrations(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "reach"
    FORMATS["lerobot_v3"].write(path, map(reach, range(5)), SPEC)
    return path


def trained(name: str, dataset: Path, output: Path) -> Path:
    policy, config = POLICIES[name]
    settings = TrainConfig(
        (dataset,),
        output,
        config,
        steps=1,
        batch_size=8,
        device="cpu",
        threads=1,
        tensorboard=False,
        validation_fraction=0.0,
    )
    return Trainer(policy, settings).run().checkpoint


@pytest.mark.parametrize("name", ["nearest", "vinn", "follow", "mcnn"])
def test_a_demonstration_comes_from_itself(name: str, demonstrations: Path, tmp_path: Path) -> None:
    """Frame by frame, because what was demonstrated is nearest to itself."""
    checkpoint = trained(name, demonstrations, tmp_path / "run")
    (group,) = DemonstrationOrigin(checkpoint, demonstrations)(3)
    episode, frame, distance, weight = group.values.T
    assert group.names == ("demonstration", "frame", "distance", "weight")
    assert (episode == 3).all()
    np.testing.assert_array_equal(frame, np.arange(len(frame)))
    assert distance.max() < 1e-5
    assert (weight <= 1.0).all()
    if name != "vinn":
        np.testing.assert_allclose(weight, 1.0, atol=1e-4)


def test_the_page_shows_it(demonstrations: Path, tmp_path: Path) -> None:
    checkpoint = trained("nearest", demonstrations, tmp_path / "run")
    page = tmp_path / "page.html"
    words = ["data", "view", str(demonstrations), "--html", str(page), "--policy", str(checkpoint)]
    assert main([*words, "--episodes", "2"]) == 0
    found = re.search(r'\[\{"length".*\}\]', page.read_text())
    assert found is not None
    groups = json.loads(found.group())[0]["groups"]
    assert groups[0]["key"] == "origin of the action"
    assert set(groups[0]["entries"][0]["values"]) == {2.0}


def test_a_policy_without_memories_is_refused(demonstrations: Path, tmp_path: Path) -> None:
    checkpoint = trained("bc", demonstrations, tmp_path / "run")
    with pytest.raises(ConfigError, match=r"acts from no demonstration; expected .* retrieval"):
        DemonstrationOrigin(checkpoint, demonstrations)


def test_a_missing_policy_costs_one_line(
    demonstrations: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.html"
    words = ["data", "view", str(demonstrations), "--html", str(page)]
    assert main([*words, "--policy", str(tmp_path / "none")]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
    assert not page.exists()
