"""The program as a person types it: help, mistakes in one line with status 2, no traceback."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from robot_policy.cli.main import COMMANDS, main


def type_in(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("robot-policy")
    return subprocess.run(
        [program, *arguments], capture_output=True, text=True, timeout=120, check=False
    )


def test_the_overview_names_every_command() -> None:
    shown = type_in("--help")
    assert shown.returncode == 0
    assert all(name in shown.stdout for name in COMMANDS)
    assert type_in().stdout == shown.stdout


@pytest.mark.parametrize("command", [*COMMANDS, "train bc", "train diffusion"])
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([*command.split(), "--help"])
    assert stopped.value.code == 0
    assert "usage: robot-policy " + command in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["colect"], "unknown command 'colect'; valid: .*did you mean 'collect'"),
        (["data", "inof"], "unknown command 'data inof'; valid: .*did you mean 'data info'"),
        (["train", "difusion"], "did you mean 'diffusion'"),
        (["train", "bc", "--preset", "tpu"], "unknown preset 'tpu'; valid: cpu, gpu"),
        (["train", "bc", "--dataset", "no/set", "--output", "{new}"], "no/set"),
        (["collect", "lfit", "--output", "{new}"], "did you mean 'lift'"),
        (["collect", "lift", "--cameras", "wirst", "--output", "{new}"], "did you mean 'wrist'"),
        (["collect", "lift", "--output", "{full}"], "will not be overwritten"),
        (["data", "info", "{full}"], "full"),
        (["eval", "no/run", "--task", "lift", "--output", "{new}"], "no/run: no such checkpoint"),
        (["eval", "{full}", "--task", "lift", "--output", "{new}"], "not a checkpoint"),
        (["compare", "no.json", "no.json"], "no.json: no such file"),
        (["up", "no/run", "--task", "lift"], "no/run: no such checkpoint"),
        (["bench", "latency", "no/run"], "no/run: no such checkpoint"),
    ],
)
def test_mistakes_are_said_in_one_line(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    full = tmp_path / "full"
    full.mkdir()
    (full / "note.txt").write_text("mine")
    places = {"new": str(tmp_path / "new"), "full": str(full)}
    status = main([argument.format(**places) for argument in arguments])
    error = capsys.readouterr().err.strip()
    assert status == 2
    assert error.startswith("robot-policy: ")
    assert "\n" not in error
    assert re.search(message, error), error
    assert not (tmp_path / "new").exists()
    assert [p.name for p in full.iterdir()] == ["note.txt"]


def test_options_of_the_wrong_type_end_with_status_2() -> None:
    wrong = type_in("collect", "lift", "--output", "x", "--episodes", "many")
    assert wrong.returncode == 2
    assert "Traceback" not in wrong.stderr + wrong.stdout
    assert not Path("x").exists()


def test_a_missing_library_names_its_extra(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "diffusers", None)
    for name in [m for m in sys.modules if m.startswith("robot_policy.policies.")]:
        monkeypatch.delitem(sys.modules, name)
    for name in [m for m in sys.modules if m.startswith("diffusers.")]:
        monkeypatch.setitem(sys.modules, name, None)
    assert main(["train", "diffusion", "--dataset", "a", "--output", "b"]) == 2
    assert "the extra 'train' brings it" in capsys.readouterr().err
