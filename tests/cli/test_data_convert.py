"""`data convert` from the command line."""

import json
import re
from pathlib import Path

import pytest
from rich_recordings import LENGTHS, RICH, recordings

from robot_policy.cli.main import main
from robot_policy.data.convert.conversion import Conversion
from robot_policy.data.formats.registry import FORMATS, detect_format


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "set"
    writer = FORMATS["lerobot_v3"].create(path, RICH)
    for recording in recordings():
        writer.add(recording)
    writer.close()
    return path


def test_it_says_what_it_does(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target, summary = tmp_path / "set.hdf5", tmp_path / "summary.json"
    arguments = ["data", "convert", str(dataset), str(target), "--to", "robomimic_hdf5"]
    assert main([*arguments, "--json", str(summary)]) == 0
    out, err = capsys.readouterr()
    assert f"{target}: 3 episodes, {sum(LENGTHS)} frames" in out
    assert "note: observation.images.front: the video is decoded" in err
    told = json.loads(summary.read_text())
    assert (told["episodes"], told["frames"], told["lost"]) == (3, sum(LENGTHS), [])
    assert told["target_bytes"] == target.stat().st_size
    assert main(arguments) == 2
    assert capsys.readouterr().err.count("\n") == 2  # the note, and one line


def test_ctrl_c_is_told_how_to_go_on(
    dataset: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def stop(self: Conversion, **options: object) -> None:
        raise KeyboardInterrupt

    arguments = ["data", "convert", str(dataset), str(tmp_path / "x"), "--to", "lerobot_v21"]
    with monkeypatch.context() as patch:
        patch.setattr(Conversion, "run", stop)
        assert main(arguments) == 130
    assert f"stopped; the same command goes on with {tmp_path / 'x'}" in capsys.readouterr().err
    assert main(arguments) == 0
    assert len(detect_format(tmp_path / "x").open(tmp_path / "x")) == 3


WRONG = {
    "no such format": (["--to", "lerobot_v4"], "unknown format 'lerobot_v4'; valid: .*lerobot_v21"),
    "no such source": (["--to", "lerobot_v21"], "no such dataset"),
    "a gap of nothing": (["--to", "lerobot_v21", "--gap-s", "0"], "times must be positive"),
    "cameras of nothing": (["--to", "lerobot_v21", "--cameras", "a"], "belong to --render"),
}


@pytest.mark.parametrize(("options", "message"), WRONG.values(), ids=WRONG)
def test_bad_input_is_one_line(
    dataset: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    message: str,
) -> None:
    source = tmp_path / "nothing" if "dataset" in message else dataset
    assert main(["data", "convert", str(source), str(tmp_path / "set"), *options]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert re.search(message, err)
    assert not (tmp_path / "set").exists()


def test_a_full_disk_is_one_line(
    dataset: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(self: Conversion, **options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Conversion, "run", full)
    arguments = ["data", "convert", str(dataset), str(tmp_path / "x"), "--to", "lerobot_v21"]
    assert main(arguments) == 2
    assert "cannot be written; got [Errno 28] No space left" in capsys.readouterr().err
