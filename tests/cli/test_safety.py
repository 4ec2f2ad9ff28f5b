"""`safety fit`, and an evaluation that stops where nobody has been."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from robot_policy.cli.main import main
from robot_policy.core.episode import Episode
from robot_policy.core.observation import Candidates, Windows
from robot_policy.core.policy import Generators
from robot_policy.core.robot import load_robot
from robot_policy.data.formats.registry import FORMATS
from robot_policy.runtime.safety.feasible_states import FeasibleStates

TWIN = load_robot("panda_twin")
SOMEWHERE = np.array([0.5, 0.5, 0.5, -1.0, 0.5, 1.0, 0.5])
"""Far from where the episodes of `lift` begin."""


def episode(seed: int) -> Episode:
    rng = np.random.default_rng(seed)
    assert TWIN.kinematics is not None
    states = []
    for _ in range(10):
        q = SOMEWHERE + rng.normal(size=7) * 0.05
        pose = TWIN.kinematics.pose(q)
        states.append(
            TWIN.proprioception(
                joint_positions=q, gripper_m=0.04, ee_position=pose[:3, 3], base_R_ee=pose[:3, :3]
            )
        )
    return Episode(
        stamps_ns=np.arange(10, dtype=np.int64) * 50_000_000,
        state=np.stack(states),
        actions=np.zeros((10, 7), np.float32),
        task="sway",
        rewards=np.zeros(10, np.float32),
    )


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    path = tmp_path / "data"
    FORMATS["lerobot_v3"].write(path, (episode(seed) for seed in range(4)), TWIN.spec())
    return path


class Resting:
    """Does nothing, four steps at a time."""

    spec = replace(TWIN.spec(), horizon=4)

    def reset(self) -> None: ...

    def sample(
        self, windows: Windows, *, num_samples: int = 1, generator: Generators
    ) -> Candidates:
        return Candidates(np.zeros((windows.batch_size, num_samples, 4, 7), np.float32))


def test_fit_writes_a_file_that_stops_an_evaluation_far_away(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("robosuite")
    from sim.evaluate import EvaluationConfig, evaluate

    file, facts = tmp_path / "feasible.npz", tmp_path / "facts.json"
    options = ["--output", str(file), "--quantile", "1", "--margin", "2.5", "--json", str(facts)]
    assert main(["safety", "fit", str(dataset), *options]) == 0
    assert "40 states of 4 episodes" in capsys.readouterr().out
    states = FeasibleStates.load(file)
    found = json.loads(facts.read_text())
    assert found["threshold"] == states.threshold
    assert found["threshold"] == pytest.approx(2.5 * found["distances"]["max"])

    config = EvaluationConfig(workers=0, max_steps=3, feasible=file)
    result = evaluate(Resting(), task="lift", seeds=[7], config=config)
    assert "far from every demonstrated state" in result.episodes[0].stop[0]
    assert result.settings.feasible == str(file)


def test_what_fit_refuses(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "feasible.npz"
    file.write_text("mine")
    for options, line in (
        ([], "exists and will not be overwritten"),
        (["--output", str(tmp_path / "other.npz"), "--quantile", "0"], "quantile"),
    ):
        given = options or ["--output", str(file)]
        assert main(["safety", "fit", str(dataset), *given]) == 2
        lines = capsys.readouterr().err.strip().splitlines()
        assert len(lines) == 1
        assert line in lines[0]
    assert file.read_text() == "mine"
    assert not (tmp_path / "other.npz").exists()
