"""Demonstrations given by talking to an arm behind topics: the twin's node stands in for it."""

import io
import os
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy")

from robot_policy.cli.main import main
from robot_policy.core.episode import Episode, Success
from robot_policy.core.robot import load_robot
from robot_policy.data.formats.registry import FORMATS
from robot_policy_ros import composition
from robot_policy_ros.child_processes import ChildProcesses

pytestmark = [pytest.mark.ros, pytest.mark.slow]

ROBOT = load_robot("panda_twin")
SAID = ("move left 2 cm", "do a somersault", "close the gripper", "move up 2 cm", "done")


def talk(monkeypatch: pytest.MonkeyPatch, output: Path, *options: str) -> Episode:
    monkeypatch.setattr("sys.stdin", io.StringIO("".join(f"{line}\n" for line in SAID)))
    words = ["collect", "lift", "--language", "--output", str(output), "--episodes", "1"]
    assert main([*words, *options]) == 0
    (episode,) = FORMATS["lerobot_v3"].read(output)
    return episode


def check(episode: Episode) -> None:
    sentences = episode.metadata["sentences"]
    assert [s["primitives"] for s in sentences][:3] == ["left_2cm", "close", "up_2cm"]
    places = [ROBOT.ee_position(episode.state[i]) for i in (0, -1)]
    moved = places[1] - places[0]
    assert moved[1] == pytest.approx(0.02, abs=0.01)
    assert moved[2] == pytest.approx(0.02, abs=0.01)
    assert episode.actions[-1, -1] == 1.0


def test_sentences_drive_the_twins_node(
    domain: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("robosuite")
    options = ("--talk.via", "nodes", "--talk.domain", str(domain))
    check(talk(monkeypatch, tmp_path / "said", *options))


def test_sentences_drive_an_arm_by_its_topics(
    domain: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is started and nothing is put back; nobody but the person knows the outcome."""
    pytest.importorskip("robosuite")
    parameters = {"robot": "panda_twin", "task": "lift", "endless": True}
    command = composition.node_command(sys.executable, composition.TWIN_NODE, parameters=parameters)
    with ChildProcesses() as children:
        children.start("twin", command, environment=dict(os.environ))
        options = ("--talk.via", "ros", "--talk.instruction", "lift the red cube")
        episode = talk(monkeypatch, tmp_path / "said", *options)
    check(episode)
    assert episode.task == "lift the red cube"
    assert episode.success in (Success.UNKNOWN, Success.YES)
    assert np.isfinite(episode.state).all()
