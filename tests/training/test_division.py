"""Several processes, or several accumulated parts, learn what one process learns."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

from robot_policy.cli.main import main
from robot_policy.training.processes import Division

OPTIONS = [
    "--policy.channels", "8", "16", "--policy.groups", "4", "--policy.step-embedding", "8",
    "--policy.train-steps", "20", "--steps", "20", "--batch-size", "16", "--device", "cpu",
    "--threads", "1", "--no-tensorboard", "--optimizer.lr", "1e-3", "--optimizer.warmup-steps", "4",
]  # fmt: skip


def arguments(dataset: Path, output: Path, *options: str) -> list[str]:
    folders = ["--dataset", str(dataset), "--output", str(output)]
    return ["train", "diffusion", *folders, *OPTIONS, *options]


def train(dataset: Path, output: Path, *options: str) -> None:
    assert main(arguments(dataset, output, *options)) == 0


def train_together(dataset: Path, output: Path, *options: str) -> None:
    """As `torchrun --nproc-per-node 2` starts it."""
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    program = ["-m", "robot_policy.cli.main", *arguments(dataset, output, *options)]
    done = subprocess.run(
        [sys.executable, *launcher, *program],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("checkpoint:") == 1, done.stdout


def losses(run: Path) -> np.ndarray:
    state = run / "checkpoints" / "last" / "training_state" / "state.json"
    return np.array(json.loads(state.read_text())["losses"])


def weights(run: Path) -> dict[str, torch.Tensor]:
    return load_file(run / "checkpoints" / "last" / "policy" / "model.safetensors")


@pytest.fixture(scope="module")
def alone(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("alone") / "run"
    train(dataset, output)
    return output


def same_as(alone: Path, run: Path) -> None:
    assert len(losses(alone)) == 20
    np.testing.assert_allclose(losses(run), losses(alone), rtol=2e-5)
    for key, value in weights(alone).items():
        torch.testing.assert_close(weights(run)[key], value, rtol=1e-3, atol=1e-5)


@pytest.mark.slow
def test_two_processes_see_the_loss_of_one(alone: Path, dataset: Path, tmp_path: Path) -> None:
    train_together(dataset, tmp_path / "run")
    same_as(alone, tmp_path / "run")


def test_accumulated_parts_see_the_loss_of_the_whole(
    alone: Path, dataset: Path, tmp_path: Path
) -> None:
    train(dataset, tmp_path / "run", "--accumulate", "2")
    same_as(alone, tmp_path / "run")


@pytest.mark.slow
def test_two_processes_that_accumulate_resume_what_one_began(
    alone: Path, dataset: Path, tmp_path: Path
) -> None:
    train(dataset, tmp_path / "run", "--checkpoint-every", "10")
    last = tmp_path / "run" / "checkpoints" / "last"
    last.unlink()
    last.symlink_to("000010")
    train_together(dataset, tmp_path / "run", "--accumulate", "2", "--resume")
    same_as(alone, tmp_path / "run")


@given(st.integers(1, 5), st.integers(1, 4), st.integers(1, 4))
def test_every_row_is_computed_once(size: int, processes: int, parts: int) -> None:
    total = size * processes * parts
    rows = np.arange(total)
    seen = []
    for process in range(processes):
        division = Division(total, processes, process, parts)
        mine = rows[division.rows]
        for part in range(parts):
            np.testing.assert_array_equal(
                mine[division.local_part(part)], rows[division.part(part)]
            )
            seen.extend(rows[division.part(part)])
    assert sorted(seen) == list(rows)
