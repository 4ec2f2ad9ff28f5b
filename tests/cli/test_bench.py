"""`robot-policy bench`: figures of several policies from one run, and mistakes in one line."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from robot_policy.checkpoint import save_policy
from robot_policy.cli.main import main
from robot_policy.core.episode import Episode, Success
from robot_policy.core.robot import load_robot
from robot_policy.core.specs import PolicySpec
from robot_policy.core.transforms import Pipeline
from robot_policy.data.formats.registry import FORMATS
from robot_policy.export.artefact import export_policy
from robot_policy.policies.bc import Bc, BcConfig
from robot_policy.policies.diffusion import Diffusion, DiffusionConfig
from robot_policy.policies.module import PolicyModule

ROBOT = load_robot("panda_twin")
SOURCE = ROBOT.spec()
SMALL = DiffusionConfig(channels=(8, 16), groups=4, step_embedding=8, sample_steps=2)


def save(folder: Path, name: str, module: PolicyModule) -> Path:
    save_policy(
        folder,
        name=name,
        module=module,
        pipeline=Pipeline([]),
        statistics={},
        weights=module.state_dict(),
        training={},
    )
    return folder


@pytest.fixture(scope="module")
def policies(tmp_path_factory: pytest.TempPathFactory) -> Sequence[Path]:
    """A diffusion policy, and another one exported."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("policies")
    bc = save(folder / "bc", "bc", Bc.build(BcConfig(hidden=(8,)), SOURCE))
    export_policy(bc, folder / "exported")
    return save(folder / "diffusion", "diffusion", Diffusion.build(SMALL, SOURCE)), (
        folder / "exported"
    )


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "random"
    FORMATS["lerobot_v3"].write(path, [random_episode(seed, SOURCE) for seed in range(3)], SOURCE)
    return path


def random_episode(seed: int, spec: PolicySpec) -> Episode:
    rng = np.random.default_rng(seed)
    return Episode(
        stamps_ns=np.arange(20, dtype=np.int64) * round(1e9 * spec.dt_s),
        state=rng.normal(size=(20, spec.state.size)).astype(np.float32),
        actions=rng.uniform(-1, 1, (20, spec.action.size)).astype(np.float32),
        task="move about",
        rewards=np.zeros(20, np.float32),
        success=Success.YES,
        metadata={"seed": seed},
    )


def test_every_policy_has_a_row_per_threads_and_candidates(
    policies: Sequence[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "latency.json"
    options = ["--candidates", "1", "3", "--threads", "1", "2", "--repetitions", "4"]
    options += ["--options", "sample_steps=1", "--json", str(file)]
    assert main(["bench", "latency", *map(str, policies), *options]) == 0
    assert "p99" in capsys.readouterr().out
    rows = json.loads(file.read_text())["rows"]
    seen = [(row["candidates"], row["checkpoint"], row["threads"]) for row in rows]
    assert seen == [(n, str(p), t) for n in (1, 3) for p in policies for t in (1, 2)]
    assert all(0 < row["p50_ms"] <= row["p99_ms"] for row in rows)


def test_the_training_step_is_measured_in_turns(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    options = ["--turns", "3", "--steps", "2", "--batch-size", "8", "--threads", "1"]
    options += ["--dataset", str(dataset), "--json", "rates.json"]
    assert main(["bench", "train", "bc", "bc_gmm", *options]) == 0
    first, second = json.loads(Path("rates.json").read_text())["rows"]
    assert (first["policy"], second["policy"]) == ("bc", "bc_gmm")
    assert first["relative"] == 1.0
    assert len(second["turns"]) == 3
    assert second["samples_per_s"] > 0
    assert [f.name for f in tmp_path.iterdir()] == ["rates.json"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["latency", "{policy}", "--candidates", "0"], "must be positive"),
        (["latency", "{policy}", "--options", "sampler=dddm"], "unknown sampler 'dddm'; valid"),
        (["latency", "{policy}", "--options", "sample_steps=x"], "expected int; got x"),
        (["latency", "{policy}", "--options", "horizon=3"], "unknown sampling option 'horizon'"),
        (["train", "dc", "--dataset", "no/set"], "unknown policy 'dc'"),
        (["train", "bc", "--dataset", "no/set"], "no/set"),
        (["train", "bc", "--dataset", "no/set", "--preset", "tpu"], "unknown preset 'tpu'"),
        (["train", "bc", "--dataset", "no/set", "--turns", "0"], "--turns: too small"),
    ],
)
def test_mistakes_are_one_line(
    policies: Sequence[Path],
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    assert main(["bench", *(word.format(policy=policies[0]) for word in arguments)]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
