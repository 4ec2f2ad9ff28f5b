"""lerobot and robomimic train by their own programs, and what they learned runs here."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from robot_policy.checkpoint import load_policy
from robot_policy.cli.main import main
from robot_policy.core.errors import ConfigError, RobotPolicyError
from robot_policy.policies.peers.lerobot_diffusion import LerobotDiffusion
from robot_policy.policies.registry import POLICIES
from robot_policy.training.peers.library_process import run_program
from robot_policy.training.peers.peer_run import PeerRunConfig
from robot_policy.training.peers.robomimic_run import _epoch_steps


def train_peer(policy: str, dataset: Path, output: Path, *options: str) -> int:
    folders = ["--dataset", str(dataset), "--output", str(output)]
    return main(["train-peer", policy, *folders, "--device", "cpu", *options])


@pytest.mark.slow
@pytest.mark.peer
@pytest.mark.timeout(900)  # a program that imports lerobot takes minutes where cores are taken
@pytest.mark.parametrize(
    ("policy", "options"),
    [
        ("lerobot_diffusion", ["--policy.down-dims", "16", "32"]),
        ("lerobot_act", ["--policy.dim-model", "16", "--policy.dim-feedforward", "16"]),
        ("robomimic_bc_rnn", ["--policy.hidden-dim", "8"]),
    ],
)
def test_a_library_trains_and_its_policy_is_adopted(
    dataset: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    policy: str,
    options: list[str],
) -> None:
    if policy == "robomimic_bc_rnn":
        pytest.importorskip("robomimic")
    else:
        pytest.importorskip("lerobot")
    result = tmp_path / "result.json"
    options += ["--steps", "4", "--batch-size", "8", "--workers", "0", "--json", str(result)]
    assert train_peer(policy, dataset, tmp_path / "run", *options) == 0
    assert "32 samples" in capsys.readouterr().out
    summary = json.loads(result.read_text())
    assert summary["steps_per_s"] > 0
    assert summary["samples"] == 32
    adopted = load_policy(summary["checkpoint"])
    assert isinstance(adopted.module, POLICIES[policy])  # pyright: ignore
    assert train_peer(policy, dataset, tmp_path / "run", *options) == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["lerobot_vqbet"], "unknown policy of another library 'lerobot_vqbet'"),
        (["lerobot_act", "--preset", "tpu"], "unknown preset 'tpu'"),
    ],
)
def test_unknown_names(
    options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train-peer", *options]) == 2
    assert message in capsys.readouterr().err


def test_contradictions_are_said_before_anything_is_written(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--policy.horizon", "6"]
    assert train_peer("lerobot_diffusion", dataset, tmp_path / "run", *options) == 2
    assert "horizon does not suit" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "options", [{"steps": 0}, {"batch_size": 0}, {"workers": -2}, {"seed": -1}, {"lr": 0.0}]
)
def test_settings_out_of_range(tmp_path: Path, options: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match="--"):
        PeerRunConfig(tmp_path, tmp_path, LerobotDiffusion.presets["cpu"], **options)  # pyright: ignore


def test_a_failing_program_is_named_with_its_last_words(tmp_path: Path) -> None:
    lines: list[str] = []
    code = "import os; print(os.environ['WORD']); print('out of memory'); raise SystemExit(3)"
    with pytest.raises(RobotPolicyError, match=r"run\.log: .* failed; got out of memory"):
        run_program(
            [sys.executable, "-c", code],
            log=tmp_path / "run.log",
            environment={"WORD": "hello"},
            on_line=lines.append,
        )
    assert lines == ["hello\n", "out of memory\n"]
    assert (tmp_path / "run.log").read_text() == "".join(lines)


def test_an_interrupted_run_ends_the_program(tmp_path: Path) -> None:
    def stop(line: str) -> None:
        raise KeyboardInterrupt

    code = "import time\nprint('begun', flush=True)\ntime.sleep(100)"
    with pytest.raises(KeyboardInterrupt):
        run_program(
            [sys.executable, "-c", code], log=tmp_path / "run.log", environment={}, on_line=stop
        )


@pytest.mark.parametrize("steps", [1, 30, 100, 101, 250, 3000])
def test_epochs_divide_a_run(steps: int) -> None:
    epoch = _epoch_steps(steps)
    assert steps % epoch == 0
    assert epoch == max(n for n in np.arange(1, 101) if steps % n == 0)
