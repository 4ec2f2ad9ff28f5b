"""`robot list` and `robot check`."""

import json
from pathlib import Path

import pytest

from robot_policy.cli.main import main
from robot_policy.core.robot import robot_names


def test_list_names_every_robot_and_what_is_wrong_with_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["robot", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in lines] == robot_names()
    assert "so101: joint_position by forward_position, 30 Hz" in lines
    (tmp_path / "mine.yaml").write_text("extends: so101\nrate_hz: -1\nname: mine\n")
    monkeypatch.setenv("ROBOT_POLICY_ROBOTS", str(tmp_path))
    assert main(["robot", "list"]) == 2
    assert "rate_hz must be positive" in capsys.readouterr().out


def test_check_shows_what_is_limited_and_what_is_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "check.json"
    assert main(["robot", "check", "ur5e", "--json", str(file)]) == 0
    out = capsys.readouterr().out
    assert "commands: joint_trajectory on joint_trajectory_controller/joint_trajectory" in out
    found = json.loads(file.read_text())
    assert "joint_velocity" in found["limits"]
    assert found["not limited"] == [
        "step_length (actions are joint angles)",
        "turn_angle (actions are joint angles)",
        "joint_acceleration (no joints.acceleration)",
        "joint_jerk (no joints.jerk)",
    ]


@pytest.mark.parametrize("name", ["panda_twin", "fr3", "so101", "xarm7"])
def test_check_accepts_what_ships(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["robot", "check", name]) == 0
    assert f"robot: {name}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("extends: fr3\njoints: {names: [a]}", "entry 'joints.low' is missing"),
        ("extends: fr4", "unknown robot 'fr4'"),
        ("extends: fr3\nworkspce: {}", "did you mean 'workspace'"),
        ("extends: fr3\nurdf: /nowhere.urdf", "/nowhere.urdf: cannot be read"),
    ],
)
def test_check_says_what_is_wrong_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, line: str
) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    assert main(["robot", "check", str(path)]) == 2
    errors = capsys.readouterr().err.strip().splitlines()
    assert len(errors) == 1
    assert line in errors[0]
