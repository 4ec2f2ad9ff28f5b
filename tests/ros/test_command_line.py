"""`up` and `serve` as processes of their own, with a checkpoint from disk."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy")
pytest.importorskip("robosuite")

from robot_policy.cli.main import main
from robot_policy.core.observation import ACTION, ENVIRONMENT_STATE, STATE
from robot_policy.core.robot import load_robot

pytestmark = pytest.mark.ros

PROGRAM = (sys.executable, "-m", "robot_policy.cli.main")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained policy, saved as training would."""
    import torch

    from robot_policy.checkpoint import save_policy
    from robot_policy.policies.registry import POLICIES
    from robot_policy.training.pipeline import make_pipeline
    from sim.registry import TASKS

    source = load_robot("panda_twin").spec(environment_state=TASKS["lift"].environment_state_spec)
    assert source.environment_state is not None
    bounds = {
        STATE: (np.full(source.state.size, -2.0), np.full(source.state.size, 2.0)),
        ACTION: (np.array(source.action.low), np.array(source.action.high)),
        ENVIRONMENT_STATE: (
            np.full(source.environment_state.size, -2.0),
            np.full(source.environment_state.size, 2.0),
        ),
    }
    statistics = {
        key: {"min": low, "max": high, "mean": low * 0, "std": low * 0 + 1}
        for key, (low, high) in bounds.items()
    }
    torch.manual_seed(0)
    module = POLICIES["bc"].build(POLICIES["bc"].presets["cpu"], source)
    folder = tmp_path_factory.mktemp("checkpoint") / "bc"
    save_policy(
        folder,
        name="bc",
        module=module,
        pipeline=make_pipeline(module.spec, statistics, states="min_max"),
        statistics=statistics,
        weights=module.state_dict(),
        training={},
    )
    return folder


@pytest.fixture
def copy(checkpoint: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(checkpoint, tmp_path / "copy"))


def test_up_runs_episodes_over_ros_and_writes_what_eval_writes(
    checkpoint: Path, domain: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from sim.result import EvaluationResult, Via

    before = set(children(os.getpid()))
    file = tmp_path / "result.json"
    options = ("--episodes", "2", "--seed", "5", "--max-steps", "15", "--json", str(file))
    assert main(["up", str(checkpoint), "--task", "lift", *options]) == 0
    assert "0/2 = 0.0%" in capsys.readouterr().out
    result = EvaluationResult.load(file)
    assert result.via == Via.ROS2
    assert [(e.seed, e.steps, e.success) for e in result.episodes] == [
        (5, 15, False),
        (6, 15, False),
    ]
    assert result.policy_ms["p50"] is not None
    assert set(children(os.getpid())) <= before


@pytest.mark.slow
def test_up_with_the_policy_on_a_server(
    checkpoint: Path, domain: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from sim.result import EvaluationResult

    token, file = tmp_path / "token", tmp_path / "result.json"
    words = ["serve-policy", str(checkpoint), "--port", "0", "--token-file", str(token)]
    server = subprocess.Popen([*PROGRAM, *words], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    with server:
        url = server.stdout.readline().split(" at ")[1].partition(",")[0]
        options = ("--server", url, "--token-file", str(token), "--episodes", "1")
        assert (
            main(["up", "--task", "lift", *options, "--max-steps", "15", "--json", str(file)]) == 0
        )
        server.send_signal(signal.SIGINT)
        assert server.wait(timeout=30) == 0
    result = EvaluationResult.load(file)
    assert result.checkpoint == url
    assert [(e.steps, e.stop) for e in result.episodes] == [(15, ())]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--robot", "nobody", "--output", "{}/set"], "unknown robot 'nobody'"),
        (["--robot", "panda_twin", "--output", "{}"], "exists and will not be overwritten"),
        (["--robot", "panda_twin", "--output", "{}/set", "--cameras", "front"], "unknown camera"),
    ],
)
def test_record_refuses_in_one_line(
    words: list[str], line: str, domain: int, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert main(["record", *(word.replace("{}", str(tmp_path)) for word in words)]) == 2
    lines = capfd.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert line in lines[0]


def test_the_control_rate_is_measured_while_a_policy_plans(
    checkpoint: Path, domain: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "rate.json"
    options = ("--seconds", "2", "--rate", "20", "--json", str(file))
    assert main(["bench", "control-rate", str(checkpoint), *options]) == 0
    assert "lateness" in capsys.readouterr().out
    figures = json.loads(file.read_text())
    assert figures["fault"] == ""
    assert figures["ticks"] + figures["missed_ticks"] >= 38
    assert figures["plans"] > 0
    assert figures["lateness_ms"]["p50"] <= figures["lateness_ms"]["max"]
    assert figures["memory_mb"] > 10


def test_up_says_what_the_node_could_not_load(
    copy: Path, domain: int, capsys: pytest.CaptureFixture[str]
) -> None:
    before = set(children(os.getpid()))
    weights = copy / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    assert main(["up", str(copy), "--task", "lift"]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert "damaged or truncated" in lines[0]
    assert set(children(os.getpid())) <= before


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (("--task", "pour"), "unknown task 'pour'"),
        (("--task", "can"), "task can: another environment state"),
        (("--task", "lift", "--episodes", 0), "--episodes: too small"),
        (("--task", "lift", "--cameras", "front"), "unknown camera 'front'"),
        (("--task", "lift", "--execute-steps", 0), "execute_steps"),
        (("--task", "lift", "--schedule", "rtc"), "cannot begin a chunk with given actions"),
        (("--task", "lift", "--pace", "sun"), "--pace: unknown pace 'sun'"),
    ],
)
def test_up_refuses_bad_input_before_it_starts_anything(
    checkpoint: Path, capsys: pytest.CaptureFixture[str], options: tuple[object, ...], line: str
) -> None:
    assert main(["up", str(checkpoint), *map(str, options)]) == 2
    errors = capsys.readouterr().err.strip().splitlines()
    assert len(errors) == 1
    assert line in errors[0]


def test_serve_refuses_to_execute_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """The node's parameter has 0 for the default; the option has no such number."""
    assert main(["serve", "x", "--execute-steps", "0"]) == 2
    assert "--execute-steps: too small; expected >= 1; got 0" in capsys.readouterr().err


def test_ctrl_c_ends_up_and_its_nodes(checkpoint: Path) -> None:
    words = [*PROGRAM, "up", str(checkpoint), "--task", "lift", "--verbose"]
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    with process:
        assert any("policy_node]:" in line for line in process.stderr)
        nodes = children(process.pid)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 130
    assert len(nodes) == 2
    wait_until_gone(nodes)


def test_nodes_do_not_outlive_an_up_that_was_killed(checkpoint: Path) -> None:
    words = [*PROGRAM, "up", str(checkpoint), "--task", "lift"]
    with subprocess.Popen(words, stderr=subprocess.DEVNULL) as process:
        end = time.monotonic() + 60
        while len(nodes := children(process.pid)) < 2:
            assert time.monotonic() < end
            time.sleep(0.1)
        process.kill()
    wait_until_gone(nodes)


def test_serve_configures_and_activates_and_ends_with_ctrl_c(checkpoint: Path, domain: int) -> None:
    words = [*PROGRAM, "serve", str(checkpoint), "--robot", "panda_twin"]
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    with process:
        assert any("a plan takes" in line for line in process.stderr)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 0


def test_serve_refuses_what_is_no_checkpoint(
    tmp_path: Path, domain: int, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", str(tmp_path)]) == 2
    lines = capfd.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert "not a checkpoint" in lines[0]


def children(pid: int) -> list[int]:
    """Process numbers of the children of a process."""
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


def wait_until_gone(pids: list[int]) -> None:
    """Waits until none of these processes runs."""
    end = time.monotonic() + 30
    while any(runs(pid) for pid in pids):
        assert time.monotonic() < end, "a node was left behind"
        time.sleep(0.1)


def runs(pid: int) -> bool:
    try:
        # The state follows the program's name, which is in brackets; Z is a zombie.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
