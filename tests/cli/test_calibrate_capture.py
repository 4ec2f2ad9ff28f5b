"""`robot-policy calibrate capture` and `check` as a person types them, in the twin."""

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from calibration.pose_difference import pose_difference
from calibration.result import CalibrationResult
from calibration.samples import load_samples
from robot_policy.cli.main import main
from robot_policy.core.geometry import inverse

pytest.importorskip("robosuite")
from sim.registry import make_environment


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("board") / "board"
    assert main(["calibrate", "board", "--output", str(folder)]) == 0
    return folder / "board.yaml"


def words(board: Path, output: Path, *more: str) -> list[str]:
    options = {"--board": str(board), "--output": str(output), "--mounting": "eye_in_hand"}
    options |= dict(zip(more[::2], more[1::2], strict=True))
    return ["calibrate", "capture", *(w for pair in options.items() for w in pair)]


def test_capture_then_hand_eye_then_check(
    board: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    samples, report = tmp_path / "samples", tmp_path / "capture.json"
    fast = ("--speed", "1", "--json", str(report))
    assert main(words(board, samples, "--poses", "2", *fast)) == 0
    assert main(words(board, samples, "--poses", "7", *fast)) == 0  # goes on
    told = json.loads(report.read_text())
    assert (told["taken"], told["new"], told["outside"]) == (7, 5, 0)
    assert told["joint_margin_rad"] > 0.0
    assert "samples, 5 of them new" in capsys.readouterr().out
    assert len(load_samples(samples).samples) == 7
    stored = tmp_path / "stored.yaml"
    common = ["--board", str(board), "--intrinsics", str(samples / "wrist.yaml")]
    more = ["--mounting", "eye_in_hand", "--output", str(stored)]
    assert main(["calibrate", "hand-eye", str(samples), *common, *more]) == 0
    result = CalibrationResult.load(stored)
    twin = make_environment("lift")
    twin.reset(0)
    camera = twin.camera_info("wrist", height=480, width=640).base_T_camera
    truth = inverse(twin.ee_pose) @ camera
    twin.close()
    shift_mm, turn_deg = pose_difference(truth, result.transform("gripper_T_camera"))
    assert shift_mm < 0.5
    assert turn_deg < 0.1
    check = ["calibrate", "check", str(stored), *common, "--folder", str(samples)]
    assert main(check) == 0
    moved = result.transform("gripper_T_camera").copy()
    moved[0, 3] += 0.006
    values = {**result.values, "gripper_T_camera": moved}
    other = tmp_path / "moved.json"
    CalibrationResult("hand_eye", values).save(other)
    told = tmp_path / "check.json"
    assert main(["calibrate", "check", str(other), *check[3:], "--json", str(told)]) == 1
    drift = json.loads(told.read_text())
    assert drift["verdict"] == "drifted"
    assert drift["shift_mm"] == pytest.approx(6.0, abs=0.6)
    assert "the camera has moved" in capsys.readouterr().out


@pytest.mark.slow
def test_interrupted_the_folder_is_whole(board: Path, tmp_path: Path) -> None:
    program = [sys.executable, "-m", "robot_policy.cli.main", *words(board, tmp_path / "s")]
    process = subprocess.Popen(program, stderr=subprocess.PIPE, text=True)
    end = time.monotonic() + 100
    while not (tmp_path / "s/poses.jsonl").exists() and time.monotonic() < end:
        time.sleep(0.05)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert re.search(r"\d+ samples are in .*; run it again to go on", said)
    assert "Traceback" not in said
    kept = load_samples(tmp_path / "s").samples
    more = ("--poses", str(len(kept) + 1))
    assert main(words(board, tmp_path / "s", *more)) == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--mounting", "on_hand"), "unknown mounting 'on_hand'; valid: eye_in_hand, eye_to_hand"),
        (("--robot", "pandas"), "unknown robot 'pandas'.*did you mean 'panda_twin'"),
        (("--cameras", "front"), "unknown camera 'front'; valid: agentview, wrist"),
        (("--via", "air"), "unknown way to reach the arm 'air'; valid: nodes, ros, twin"),
        (("--robot", "ur5e", "--via", "twin"), "this arm is not simulated; expected ros; got twin"),
        (("--poses", "0"), "--poses: too small; expected >= 1; got 0"),
        (("--speed", "2"), "--speed: out of range; expected 0.05 .. 1; got 2.0"),
        (("--gripper", "-1"), "--gripper: out of range"),
        (("--board", "no.yaml"), "no.yaml: no such file"),
        (("--from-bag", "no_bag"), "no_bag: no such bag"),
        (("--intrinsics", "no.yaml"), "no.yaml: no such file"),
    ],
)
def test_mistakes_are_said_in_one_line(
    options: tuple[str, ...],
    message: str,
    board: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(words(board, tmp_path / "s", *options)) == 2
    error = capsys.readouterr().err.strip()
    assert re.search(message, error), error
    assert "\n" not in error
    assert not (tmp_path / "s").exists()


def test_options_that_exclude_each_other(
    board: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    common = words(board, tmp_path / "s")
    for flags, message in (
        (["--guided"], "nobody can move the simulated arm by hand"),
        (["--on-key"], "belongs to --guided"),
        (["--guided", "--from-bag", "b"], "give one of both"),
    ):
        assert main([*common, *flags]) == 2
        assert message in capsys.readouterr().err


def test_a_check_refuses_what_it_cannot_use(
    board: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stored = tmp_path / "stored.json"
    CalibrationResult("hand_eye", {"gripper_T_camera": np.eye(4)}).save(stored)
    intrinsics = tmp_path / "lens.json"
    CalibrationResult("intrinsics", {}).save(intrinsics)
    for arguments, message in (
        ([str(tmp_path / "no.json")], "no such file"),
        ([str(stored), "--tolerance-mm", "0"], "--tolerance-mm: not positive"),
        ([str(stored), "--poses", "3"], "--poses: too small"),
        ([str(stored), "--folder", "x"], "samples need intrinsics"),
        ([str(stored), "--folder", "x", "--keep", "y"], "give one of both"),
        ([str(intrinsics)], "says not where camera 'camera' is"),
    ):
        assert main(["calibrate", "check", *arguments, "--board", str(board)]) == 2
        error = capsys.readouterr().err.strip()
        assert message in error
        assert "\n" not in error
