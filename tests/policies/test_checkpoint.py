"""Checkpoint folders: three ways to name one, and what is said of one that is damaged."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from robot_policy.checkpoint import find_policy, load_policy, resolve_device, save_policy
from robot_policy.core.errors import CheckpointError, RobotPolicyError
from robot_policy.core.observation import ACTION, EPISODE, STATE
from robot_policy.core.robot import load_robot
from robot_policy.core.transforms import Normalize, Pipeline
from robot_policy.policies.bc import Bc, BcConfig
from robot_policy.policies.mcnn import Mcnn, McnnConfig

SOURCE = load_robot("panda_twin").spec()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    module = Bc.build(BcConfig(hidden=(8,)), SOURCE)
    path = tmp_path / "run" / "checkpoints" / "000001" / "policy"
    save_policy(
        path,
        name="bc",
        module=module,
        pipeline=Pipeline([]),
        statistics={},
        weights=module.state_dict(),
        training={},
    )
    (tmp_path / "run" / "checkpoints" / "last").symlink_to("000001")
    return path


def test_a_run_a_step_and_a_policy_folder_mean_the_same(folder: Path) -> None:
    for path in (folder, folder.parent, folder.parents[2]):
        assert find_policy(path).resolve() == folder.resolve()


@pytest.mark.parametrize("name", ["config.json", "spec.json", "stats.json", "model.safetensors"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(CheckpointError, match=f"{name} is missing"):
        load_policy(folder)


@pytest.mark.parametrize("name", ["config.json", "spec.json", "stats.json", "model.safetensors"])
@pytest.mark.parametrize("keep", [slice(0), slice(1), slice(-2)])
def test_a_truncated_file_is_named(folder: Path, name: str, keep: slice) -> None:
    (folder / name).write_bytes((folder / name).read_bytes()[keep])
    with pytest.raises(CheckpointError, match=name):
        load_policy(folder)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("format_version", 99, "another version; expected format_version 2; got 99"),
        ("policy", "bcc", "did you mean 'bc'"),
        ("hyper_parameters", {"hidden": [8], "depth": 3}, "depth"),
        ("hyper_parameters", {"hidden": [9]}, "weights of another network"),
        ("pipeline", [{"kind": "normalize", "key": "action", "mode": "min_max"}], "no statistics"),
    ],
)
def test_a_config_that_does_not_fit_is_named(
    folder: Path, key: str, value: object, message: str
) -> None:
    config = json.loads((folder / "config.json").read_text())
    config[key] = value
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(RobotPolicyError, match=message):
        load_policy(folder)


@pytest.mark.parametrize("mode", ["min_max", "mean_std"])
def test_memories_of_other_data_or_another_scaling_are_refused(tmp_path: Path, mode: str) -> None:
    """Their file fits in size, but its numbers mean something else."""

    def written(name: str, largest: float, how: str) -> Path:
        ranges = {"min": -np.ones(7), "max": np.full(7, largest)}
        statistics = {ACTION: ranges | {"mean": np.zeros(7), "std": np.ones(7)}}
        pipeline = Pipeline([Normalize.from_statistics(statistics, key=ACTION, mode=how)])
        module = Mcnn.build(McnnConfig(backbone_options=("horizon=4", "hidden=8")), SOURCE)
        generator = torch.Generator().manual_seed(0)
        windows = {
            STATE: torch.randn(30, 2, SOURCE.state.size, generator=generator),
            ACTION: torch.zeros(30, 4, 7),
            EPISODE: torch.arange(30) // 10,
        }
        module.memorise(windows, seed=0)
        parts = {"module": module, "pipeline": pipeline, "statistics": statistics}
        weights = module.state_dict()
        save_policy(tmp_path / name, name="mcnn", weights=weights, training={}, **parts)
        return tmp_path / name

    ours, other = written("ours", 1.0, "min_max"), written("other", 2.0, mode)
    load_policy(ours)
    shutil.copy(other / "model.safetensors", ours / "model.safetensors")
    with pytest.raises(CheckpointError, match="memories of another data set or another scaling"):
        load_policy(ours)


def test_what_is_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        load_policy(tmp_path / "nothing")
    with pytest.raises(CheckpointError, match="not a checkpoint"):
        load_policy(tmp_path)


def test_devices_that_are_not_here() -> None:
    assert resolve_device("auto").type in ("cpu", "cuda")
    with pytest.raises(CheckpointError, match="unknown device"):
        resolve_device("gpu0")
    if not torch.cuda.is_available():
        with pytest.raises(CheckpointError, match="no CUDA device"):
            resolve_device("cuda")
