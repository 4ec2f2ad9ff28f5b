"""Episodes are written beside the recording, in order, and none is lost."""

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robot_policy.core.episode import Episode, Success
from robot_policy.core.errors import ConfigError, DataError, SpecError
from robot_policy.core.specs import PolicySpec
from robot_policy.data.episode_saver import EpisodeSaver
from robot_policy.data.store import EpisodeStore


def episode(number: int, *, length: int = 3) -> Episode:
    return Episode(
        stamps_ns=np.arange(length) * 100 + 10**9,
        state=np.full((length, 2), number, np.float32),
        actions=np.zeros((length, 2), np.float32),
        task=f"task {number}",
        rewards=np.zeros(length, np.float32),
        success=Success.YES,
        environment_state=np.zeros((length, 1), np.float32),
        images={"wrist": np.zeros((length, 2, 2, 3), np.uint8)},
    )


def test_episodes_are_appended_in_order(counting_spec: PolicySpec, tmp_path: Path) -> None:
    path = tmp_path / "set"
    for start in (0, 2):
        saver = EpisodeSaver(path, counting_spec)
        assert saver.saved == start
        assert path.exists() == bool(start), "no dataset before there is an episode"
        for number in (start, start + 1):
            saver.submit(episode(number))
        assert saver.close() == 0
    store = EpisodeStore.open(path)
    assert [e.task for e in store.episodes] == [f"task {n}" for n in range(4)]
    assert store.stamps_ns[:3].tolist() == [10**9, 10**9 + 100, 10**9 + 200]


def test_a_dataset_of_another_shape_is_refused(counting_spec: PolicySpec, tmp_path: Path) -> None:
    saver = EpisodeSaver(tmp_path / "set", counting_spec)
    saver.submit(episode(0))
    saver.close()
    with pytest.raises(SpecError, match="another cameras than the dataset's"):
        EpisodeSaver(tmp_path / "set", replace(counting_spec, cameras={}))
    (tmp_path / "other").mkdir()
    (tmp_path / "other/file").touch()
    with pytest.raises(ConfigError, match="exists and will not be overwritten"):
        EpisodeSaver(tmp_path / "other", counting_spec)
    assert threading.active_count() < 20


def test_an_episode_that_does_not_fit_is_refused_at_once(
    counting_spec: PolicySpec, tmp_path: Path
) -> None:
    saver = EpisodeSaver(tmp_path / "set", counting_spec)
    bad = replace(episode(0), state=np.full((3, 2), np.nan, np.float32))
    with pytest.raises(DataError, match="the recorded episode"):
        saver.submit(bad)
    assert saver.close() == 0


def test_what_could_not_be_written_is_kept_and_tried_again(
    counting_spec: PolicySpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = EpisodeSaver._write
    full = True

    def attempt(self: EpisodeSaver, one: Episode) -> None:
        if full:
            raise OSError(28, "No space left on device")
        write(self, one)

    monkeypatch.setattr(EpisodeSaver, "_write", attempt)
    saver = EpisodeSaver(tmp_path / "set", counting_spec)
    for number in range(2):
        saver.submit(episode(number))
    assert not saver.wait(10)
    assert "No space left" in str(saver.problem)
    assert (saver.waiting, saver.saved) == (2, 0)
    full = False
    saver.retry()
    assert saver.wait(30)
    assert (saver.waiting, saver.saved, saver.problem) == (0, 2, None)
    full = True
    saver.submit(episode(2))
    assert saver.close() == 1
    assert len(EpisodeStore.open(tmp_path / "set").episodes) == 2


def test_a_defect_in_the_writer_does_not_end_the_thread(
    counting_spec: PolicySpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise ZeroDivisionError("of all things")

    monkeypatch.setattr(EpisodeSaver, "_write", fail)
    saver = EpisodeSaver(tmp_path / "set", counting_spec)
    saver.submit(episode(0))
    saver.wait(10)
    assert saver.problem == "ZeroDivisionError: of all things"
    monkeypatch.undo()
    assert saver.close() == 0
