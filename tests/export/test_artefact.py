"""Exported policies: what is written, what is refused, and that no torch is needed to run one."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from robot_policy.checkpoint import load_policy, save_policy
from robot_policy.cli.main import main
from robot_policy.core.errors import CheckpointError, ConfigError, RobotPolicyError, SpecError
from robot_policy.core.observation import STATE, Windows
from robot_policy.core.robot import load_robot
from robot_policy.core.transforms import Pipeline
from robot_policy.export import artefact
from robot_policy.export.artefact import export_policy
from robot_policy.policies.bc import Bc, BcConfig
from robot_policy.policies.module import Batch
from robot_policy.runtime.exported_policy import Graph

SOURCE = load_robot("panda_twin").spec()
FILES = ("config.json", "spec.json", "stats.json", "model.onnx")


def save(folder: Path, module: Bc) -> Path:
    save_policy(
        folder,
        name="bc",
        module=module,
        pipeline=Pipeline([]),
        statistics={},
        weights=module.state_dict(),
        training={"step": 7},
    )
    return folder


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("run") / "policy"
    return save(folder, Bc.build(BcConfig(hidden=(8,), history=1, horizon=4), SOURCE))


@pytest.fixture(scope="module")
def exported(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported") / "policy"
    export_policy(checkpoint, folder)
    return folder


@pytest.fixture
def copy(exported: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "copy"
    folder.mkdir()
    for name in FILES:
        (folder / name).write_bytes((exported / name).read_bytes())
    return folder


def windows(batch: int = 1) -> Windows:
    state = np.random.default_rng(0).normal(size=(batch, 1, SOURCE.state.size))
    return Windows(
        state=state.astype(np.float32),
        past=np.zeros((batch, 0, SOURCE.action.size), np.float32),
        valid=np.ones((batch, 1), bool),
        past_valid=np.ones((batch, 0), bool),
        instructions=("",) * batch,
    )


def test_what_is_written(exported: Path) -> None:
    assert sorted(f.name for f in exported.iterdir()) == sorted(FILES)
    config = json.loads((exported / "config.json").read_text())
    assert config["kind"] == "onnx"
    assert config["training"] == {"step": 7}
    assert config["graph"]["inputs"] == {STATE: "float32"}
    assert config["graph"]["largest_difference"] < 1e-5


def test_a_process_that_runs_it_has_no_torch(exported: Path) -> None:
    script = f"""
import sys
import numpy as np
from robot_policy.checkpoint import load_policy
from robot_policy.core.observation import Observation
from robot_policy.runtime.history import History
policy = load_policy({str(exported)!r})
rng = np.random.default_rng(0)
history = History(policy.spec)
history.observe(Observation(stamp_ns=0, state=policy.spec.state.sample(rng)))
assert policy.sample(history.windows(), num_samples=3, generator=rng).actions.shape[1] == 3
print(sorted({{"torch", "diffusers", "safetensors"}} & set(sys.modules)))
"""
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert run.stdout.strip() == "[]"


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(copy: Path, name: str) -> None:
    (copy / name).unlink()
    with pytest.raises(CheckpointError, match=f"{name} is missing"):
        load_policy(copy)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("keep", [slice(0), slice(1), slice(-2)])
def test_a_truncated_file_is_named(copy: Path, name: str, keep: slice) -> None:
    (copy / name).write_bytes((copy / name).read_bytes()[keep])
    with pytest.raises(CheckpointError, match=name):
        load_policy(copy)


def test_a_changed_weight_is_noticed(copy: Path) -> None:
    model = copy / "model.onnx"
    content = bytearray(model.read_bytes())
    content[len(content) // 2] ^= 1
    model.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"model\.onnx: damaged"):
        load_policy(copy)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format_version": 99}, "another version; expected format_version 2; got 99"),
        ({"graph": {}}, "a wrong entry"),
        ({"graph": {"inputs": [], "noise_shape": [], "candidates": None}}, "a wrong entry"),
        ({"pipeline": 3}, "a wrong entry"),
    ],
)
def test_a_config_that_does_not_fit_is_named(copy: Path, change: dict, message: str) -> None:
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | change))
    with pytest.raises(CheckpointError, match=message):
        load_policy(copy)


def test_another_graph_is_refused(copy: Path) -> None:
    config = json.loads((copy / "config.json").read_text())
    config["graph"]["inputs"] = {"observation.stat": "float32"}
    (copy / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="a graph with other inputs"):
        load_policy(copy)


def test_devices_and_options_it_does_not_have(exported: Path) -> None:
    with pytest.raises(CheckpointError, match="unknown device"):
        load_policy(exported, device="tpu9")
    with pytest.raises(ConfigError, match="draws as it was exported"):
        load_policy(exported, options={"sample_steps": 3})
    assert load_policy(exported, device="auto").device_type in ("cpu", "cuda")


def test_one_number_of_candidates_can_be_fixed(checkpoint: Path, tmp_path: Path) -> None:
    export_policy(checkpoint, tmp_path / "out", candidates=4)
    policy = load_policy(tmp_path / "out")
    drawn = policy.sample(windows(3), num_samples=4, generator=np.random.default_rng(0))
    assert drawn.actions.shape == (3, 4, 4, SOURCE.action.size)
    with pytest.raises(SpecError, match="expected 4; got 5"):
        policy.sample(windows(), num_samples=5, generator=np.random.default_rng(0))


def test_an_export_that_answers_differently_leaves_nothing(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Wrong(Graph):
        def __call__(self, *arguments: object) -> np.ndarray:
            return super().__call__(*arguments) + 0.01  # pyright: ignore

    monkeypatch.setattr(artefact, "Graph", Wrong)
    with pytest.raises(RobotPolicyError, match=r"answers differently; .*got 0\.01"):
        export_policy(checkpoint, tmp_path / "out" / "policy")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_policy_that_cannot_be_traced_says_why(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def decode(self: Bc, batch: Batch, noise: Tensor) -> Tensor:
        answer = original(self, batch, noise)
        return answer if answer.mean().item() > 0 else -answer

    original: Callable[[Bc, Batch, Tensor], Tensor] = Bc.decode
    monkeypatch.setattr(Bc, "decode", decode)
    with pytest.raises(ConfigError, match="Bc: this policy cannot be exported; got") as caught:
        export_policy(checkpoint, tmp_path / "out")
    assert len(str(caught.value)) < 400
    assert list(tmp_path.iterdir()) == []


def test_the_command(checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output, json_file = tmp_path / "out", tmp_path / "out.json"
    arguments = ["export", str(checkpoint), "--output", str(output)]
    assert main([*arguments, "--json", str(json_file)]) == 0
    assert "largest difference to the original" in capsys.readouterr().out
    assert json.loads(json_file.read_text())["largest_difference"] < 1e-5
    assert main(arguments) == 2
    assert "exists and will not be overwritten" in capsys.readouterr().err
    again = ["export", str(output), "--output", str(tmp_path / "again")]
    assert main(again) == 2
    assert "exported already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--candidates", "few"], "expected dynamic, or a positive number; got few"),
        (["--options", "steps"], "expected key=value; got steps"),
        (["--options", "steps=3"], "bc: unknown sampling option 'steps'; valid: none"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(
    checkpoint: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    message: str,
) -> None:
    command = ["export", str(checkpoint), "--output", str(tmp_path / "out"), *options]
    assert main(command) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
