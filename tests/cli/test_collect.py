"""`collect` and `data info` as a user runs them, with the real twin."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from robot_policy.cli.collect import CollectConfig, run
from robot_policy.cli.main import main
from robot_policy.core.episode import Success
from robot_policy.core.errors import SimulationError
from robot_policy.data.store import EpisodeStore
from sim.collect import CollectionSettings, Collector

PROGRAM = [sys.executable, "-m", "robot_policy.cli.main"]


def content(path: Path) -> dict[str, bytes]:
    return {
        str(f.relative_to(path)): f.read_bytes() for f in sorted(path.rglob("*")) if f.is_file()
    }


@pytest.fixture(scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four episodes of lift, by one worker."""
    path = tmp_path_factory.mktemp("collected") / "lift"
    config = CollectConfig(
        "lift", path, episodes=4, seed=7, workers=1, json=path.parent / "collect.json"
    )
    assert run(config) == 0
    return path


def test_what_is_collected(collected: Path) -> None:
    store = EpisodeStore.open(collected)
    assert [e.metadata["seed"] for e in store.episodes] == [7, 8, 9, 10]
    assert all(e.success == Success.YES for e in store.episodes)
    assert store.spec.robot == "panda_twin"
    assert store.spec.environment_state is not None
    figures = json.loads((collected.parent / "collect.json").read_text())
    assert (figures["episodes"], figures["successes"], figures["dropped"]) == (4, 4, 0)
    assert figures["frames"] == len(store)


def test_two_workers_and_a_resumed_run_give_the_same_dataset(
    collected: Path, tmp_path: Path
) -> None:
    parts = CollectConfig("lift", tmp_path / "parts", episodes=3, seed=7, workers=2)
    assert run(parts) == 0
    assert run(replace(parts, episodes=4, resume=True)) == 0
    assert content(tmp_path / "parts") == content(collected)


def test_resuming_what_is_complete_changes_nothing(collected: Path) -> None:
    before = content(collected)
    assert run(CollectConfig("lift", collected, episodes=4, seed=7, resume=True)) == 0
    assert content(collected) == before


def test_failures_are_kept_or_replaced(tmp_path: Path) -> None:
    """The sloppy expert fails on seed 5 and solves seed 6; dropping failures moves on to 6."""
    every = CollectConfig("lift", tmp_path / "every", episodes=2, seed=5, quality="sloppy")
    assert run(every) == 0
    outcomes = [e.success for e in EpisodeStore.open(every.output).episodes]
    assert outcomes == [Success.NO, Success.YES], "the expert has changed: choose other seeds"
    config = replace(
        every,
        output=tmp_path / "solved",
        episodes=1,
        only_successes=True,
        json=tmp_path / "solved.json",
    )
    assert run(config) == 0
    (kept,) = EpisodeStore.open(config.output).episodes
    assert kept.metadata["seed"] == 6
    assert json.loads((tmp_path / "solved.json").read_text())["dropped"] == 1


def test_a_mixture_depends_on_the_seed_alone() -> None:
    settings = CollectionSettings("lift", quality="mixed", keep_failures=True)
    qualities = [settings.quality_of(seed) for seed in range(200)]
    assert qualities == [settings.quality_of(seed) for seed in range(200)]
    assert 70 < qualities.count("sloppy") < 130
    assert set(qualities) == {"sloppy", "expert"}


def test_a_dead_worker_is_named() -> None:
    with Collector(CollectionSettings("lift"), workers=1) as collector:
        episodes = collector.episodes(3)
        next(episodes)
        (process,) = collector.pool.processes
        process.kill()
        with pytest.raises(SimulationError, match=r"collection worker 0 died.*exit status -9"):
            list(episodes)


def test_ctrl_c_leaves_a_valid_dataset_that_can_be_resumed(tmp_path: Path) -> None:
    output = tmp_path / "set"
    command = [*PROGRAM, "collect", "lift", "--output", str(output), "--episodes", "500"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        deadline = time.monotonic() + 90
        while not (output / "data/chunk-000/file-001.parquet").exists():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.1)
        os.killpg(process.pid, signal.SIGINT)
        stdout, stderr = process.communicate(timeout=30)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    assert process.returncode == 130, (stdout, stderr)
    assert "--resume goes on" in stderr
    assert "Traceback" not in stderr
    count = len(EpisodeStore.open(output).episodes)
    assert count >= 1
    assert f"holds {count} episodes" in stderr
    more = CollectConfig("lift", output, episodes=count + 1, workers=1, resume=True)
    assert run(more) == 0
    seeds = [e.metadata["seed"] for e in EpisodeStore.open(output).episodes]
    assert seeds == list(range(count + 1))


BAD = {
    "unknown task": (
        ["collect", "lfit"],
        "unknown task 'lfit'; valid: can, language, lift, recall, recall-count, square, stack",
    ),
    "unknown camera": (["collect", "lift", "--cameras", "chest"], "unknown camera 'chest'"),
    "unknown quality": (["collect", "lift", "--quality", "bad"], "unknown quality 'bad'"),
    "unknown robot": (["collect", "lift", "--robot", "ur99"], "ur99"),
    "negative noise": (["collect", "lift", "--noise", "-1"], "noise: out of range"),
    "no episode": (["collect", "lift", "--episodes", "0"], "--episodes: too small"),
    "no worker": (["collect", "lift", "--workers", "0"], "workers: out of range"),
    "contradiction": (
        ["collect", "lift", "--only-successes", "--keep-failures"],
        "contradict each other",
    ),
}


@pytest.mark.parametrize(("arguments", "message"), BAD.values(), ids=BAD)
def test_bad_input_is_one_line_and_creates_nothing(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "set"
    assert main([*arguments, "--output", str(output)]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not output.exists()


def test_an_existing_folder_is_not_touched(
    collected: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = content(collected)
    for extra, message in (
        ([], "will not be overwritten"),
        (["--resume", "--seed", "7", "--noise", "0.2"], "another noise than the collection"),
    ):
        assert main(["collect", "lift", "--output", str(collected), *extra]) == 2
        assert message in capsys.readouterr().err
    assert content(collected) == before


def test_only_a_collection_can_be_resumed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    assert main(["collect", "lift", "--output", str(tmp_path), "--resume"]) == 2
    assert "no collection to resume" in capsys.readouterr().err
    assert os.listdir(tmp_path) == ["notes.txt"]


def test_info(collected: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "info", str(collected), "--json", str(tmp_path / "info.json")]) == 0
    shown = capsys.readouterr().out
    for text in ("panda_twin", "20 Hz", "observation.environment_state", "4 yes"):
        assert text in shown
    info = json.loads((tmp_path / "info.json").read_text())
    assert info["episodes"] == 4
    assert info["rate_hz"] == 20
    assert info["features"]["action"]["shape"] == [7]
    assert info["success"] == {"yes": 4, "no": 0, "unknown": 0}
    assert list(info["tasks"].values()) == [4]
    assert info["bytes"] == sum(len(data) for data in content(collected).values())


def test_info_of_no_dataset(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "info", str(tmp_path / "nothing")]) == 2
    assert "no such dataset" in capsys.readouterr().err


@pytest.mark.slow
def test_images_are_collected(tmp_path: Path) -> None:
    config = CollectConfig(
        "lift", tmp_path / "set", episodes=2, cameras=("agentview", "wrist"), image_size=(64, 80)
    )
    assert run(config) == 0
    store = EpisodeStore.open(config.output, cameras=config.cameras)
    for camera in config.cameras:
        frames = store.images[camera][0]
        assert frames.shape[1:] == (64, 80, 3)
        assert frames.std() > 10
        assert np.abs(np.diff(frames.astype(int), axis=0)).max() > 20
