"""`robot-policy train` as a person uses it."""

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from robot_policy.cli.main import main
from robot_policy.core.episode import Success
from robot_policy.training.loop import Trainer

SMALL = ["--policy.hidden", "8", "--batch-size", "16", "--no-tensorboard", "--device", "cpu"]


def train(dataset: Path, output: Path, *options: str) -> int:
    return main(
        ["train", "bc", "--dataset", str(dataset), "--output", str(output), *SMALL, *options]
    )


def test_it_says_where_the_checkpoint_is(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = tmp_path / "result.json"
    assert train(dataset, tmp_path / "run", "--steps", "5", "--json", str(result)) == 0
    checkpoint = json.loads(result.read_text())["checkpoint"]
    assert f"checkpoint: {checkpoint}" in capsys.readouterr().out
    assert (Path(checkpoint) / "policy" / "model.safetensors").is_file()
    saved = json.loads((tmp_path / "run" / "train_config.json").read_text())
    assert saved["steps"] == 5
    assert saved["policy"]["hidden"] == [8]


def test_ctrl_c_leaves_a_checkpoint_that_is_resumed(
    dataset: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    step = Trainer._step

    def interrupted(self: Trainer, number: int) -> float:
        if number == 3:
            raise KeyboardInterrupt
        return step(self, number)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_step", interrupted)
        assert train(dataset, tmp_path / "run", "--steps", "6") == 130
    assert "--resume goes on" in capsys.readouterr().err
    moved = Path(shutil.copytree(dataset, tmp_path / "moved"))
    assert train(moved, tmp_path / "run", "--steps", "6", "--resume") == 0
    assert (tmp_path / "run/checkpoints/last").resolve().name == "000006"


def test_a_run_is_not_resumed_on_other_data(
    dataset: Path,
    make_dataset: Callable[[Path, Sequence[Success]], Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert train(dataset, tmp_path / "run", "--steps", "2") == 0
    other = make_dataset(tmp_path / "other", [Success.YES] * 3)
    assert train(other, tmp_path / "run", "--steps", "4", "--resume") == 2
    assert "not the data this run was begun with" in capsys.readouterr().err
    slower = Path(shutil.copytree(dataset, tmp_path / "slower"))
    description = slower / "meta" / "robot_policy.json"
    description.write_text(description.read_text().replace("0.05,", "0.1,"))
    info = slower / "meta" / "info.json"
    info.write_text(info.read_text().replace('"fps": 20', '"fps": 10'))
    assert train(slower, tmp_path / "run", "--steps", "4", "--resume") == 2
    assert "another rate; expected 20 Hz; got 10 Hz" in capsys.readouterr().err
    assert (tmp_path / "run/checkpoints/last").resolve().name == "000002"
