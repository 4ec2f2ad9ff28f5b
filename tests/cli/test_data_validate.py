"""`data validate` from the command line."""

import json
from pathlib import Path

import numpy as np
import pytest
from clean_recordings import CAMERA, changed, write

from robot_policy.cli.main import main
from robot_policy.data.formats.registry import FORMATS


def beyond(actions: np.ndarray) -> np.ndarray:
    actions[6:9, 1] = 2
    return actions


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An error, a warning, and counts that are wrong."""
    path = tmp_path_factory.mktemp("data") / "set [bold]"
    given = changed(1, "action", beyond)
    write(path, "lerobot_v3", given=given)
    info = json.loads((path / "meta/info.json").read_text())
    (path / "meta/info.json").write_text(json.dumps(info | {"total_frames": 5}))
    return path


@pytest.mark.parametrize("name", FORMATS)
def test_nothing_is_wrong(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "set", name)
    result = tmp_path / "found.json"
    assert main(["data", "validate", str(path), "--json", str(result)]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert f"({name}): nothing found; 3 episodes, 74 frames" in shown
    told = json.loads(result.read_text())
    assert (told["findings"], told["episodes"], told["frames"]) == ([], 3, 74)


def test_what_is_wrong_is_told(
    faulty: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = tmp_path / "found.json"
    assert main(["data", "validate", str(faulty), "--json", str(result)]) == 1
    shown = capsys.readouterr().out
    for text in ("action-outside-limits", "total-mismatch", "total_frames", "--fix counts anew"):
        assert text in shown
    assert "set [bold]" in " ".join(shown.split())
    assert shown.count("\n") < 40
    told = json.loads(result.read_text())
    assert told["severities"]["error"] == sum(told["codes"].values()) == 2
    finding = next(f for f in told["findings"] if f["code"] == "action-outside-limits")
    assert (finding["severity"], finding["episode"], finding["feature"]) == ("error", 1, "action")
    assert (finding["frames"], finding["found"]) == ([6, 8], "y 2, expected -1 to 1")
    assert finding["remedy"]


def test_warnings_are_no_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = changed(1, CAMERA, lambda x: np.zeros_like(x))
    path = write(tmp_path / "set", "robomimic_hdf5", given=given)
    assert main(["data", "validate", str(path)]) == 0
    assert "image-blank" in capsys.readouterr().out
    assert main(["data", "validate", str(path), "--no-images"]) == 0
    shown = capsys.readouterr().out.replace("\n", "")
    assert "nothing found" in shown
    assert "images not looked at" in shown


def test_mending(faulty: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output, result = tmp_path / "mended", tmp_path / "found.json"
    arguments = ["data", "validate", str(faulty), "--fix", "--output", str(output)]
    # The counts are mended; what was commanded is not.
    assert main([*arguments, "--json", str(result)]) == 1
    shown = capsys.readouterr().out
    assert "mended: total-mismatch (1 x)" in shown
    assert "not mended: action-outside-limits" in shown
    told = json.loads(result.read_text())
    assert "total-mismatch" in told["codes"]
    assert set(told["fix"]["after"]["codes"]) == {"action-outside-limits"}
    assert main(arguments) == 2
    assert "will not be overwritten" in capsys.readouterr().err


def test_a_mended_copy_is_clean(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, output = write(tmp_path / "set", "lerobot_v21"), tmp_path / "mended"
    info = json.loads((path / "meta/info.json").read_text())
    (path / "meta/info.json").write_text(json.dumps(info | {"total_episodes": 2}))
    assert main(["data", "validate", str(path), "--fix", "--output", str(output)]) == 0
    assert f"{output}: 3 episodes" in capsys.readouterr().out.replace("\n", "")
    assert main(["data", "validate", str(output)]) == 0


def test_a_damaged_description_is_a_finding(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "set", "lerobot_v3", images=False)
    (path / "meta/info.json").write_text("{")
    assert main(["data", "validate", str(path)]) == 1
    assert "dataset-unreadable" in capsys.readouterr().out
    assert main(["data", "validate", str(path), "--fix", "--output", str(tmp_path / "x")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "x").exists()


def test_a_full_disk_is_one_line(
    faulty: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*arguments: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("robot_policy.data.formats.lerobot_writer.write_data_file", full)
    output = tmp_path / "mended"
    assert main(["data", "validate", str(faulty), "--fix", "--output", str(output)]) == 2
    err = capsys.readouterr().err
    assert "No space left" in err
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


WRONG = {
    "no dataset": (["{tmp}/nothing"], "no such dataset"),
    "no format": (["{tmp}"], "not a dataset of a known format"),
    "nowhere to go": (["{set}", "--fix"], "belong together"),
    "nothing to fix": (["{set}", "--output", "{tmp}/x"], "belong together"),
    "nothing to drop from": (["{set}", "--drop", "duplicates"], "belongs to --fix"),
    "no such robot": (["{set}", "--robot", "no_robot"], "unknown robot"),
    "a gap of nothing": (["{set}", "--gap-s", "0"], "times must be positive"),
    "undecodable unseen": (
        ["{set}", "--no-images", "--fix", "--output", "{tmp}/x", "--drop", "undecodable"],
        "needs images",
    ),
}


@pytest.mark.parametrize(("arguments", "message"), WRONG.values(), ids=WRONG)
def test_bad_input_is_one_line(
    faulty: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    filled = [a.format(tmp=tmp_path, set=faulty) for a in arguments]
    assert main(["data", "validate", *filled]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert message in err
    assert not (tmp_path / "x").exists()
