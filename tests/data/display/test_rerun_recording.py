"""What rerun reads back is what the dataset holds."""

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robot_policy.cli.main import main

from .conftest import LENGTH, episode

pytest.importorskip("rerun")


@pytest.fixture(scope="module")
def chunks(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Any]]:
    """Tables of the recording by entity."""
    path = tmp_path_factory.mktemp("rrd") / "recording.rrd"
    assert main(["data", "view", str(dataset), "--rrd", str(path), "--episodes", "0,2"]) == 0
    reader = importlib.import_module("rerun.recording")
    tables: dict[str, list[Any]] = {}
    for chunk in reader.load_recording(path).chunks():
        tables.setdefault(chunk.entity_path, []).append(chunk.to_record_batch())
    return tables


def column(tables: list[Any], name: str) -> list[Any]:
    return [v for t in tables for n in t.schema.names if n == name for v in t[n].to_pylist()]


def test_states_and_actions_are_there_with_their_names(chunks: dict[str, list[Any]]) -> None:
    for number in (0, 2):
        tables = chunks[f"/episode_{number:06d}/observation.state"]
        np.testing.assert_allclose(column(tables, "Scalars:scalars"), episode(number).state)
        assert column(tables, "SeriesLines:names") == [["x [m]", "y [m]", "z [rad]"]]
        actions = column(chunks[f"/episode_{number:06d}/action"], "Scalars:scalars")
        np.testing.assert_allclose(actions, episode(number).actions)
    assert "/episode_000001/action" not in chunks


def test_every_frame_has_its_picture(chunks: dict[str, list[Any]]) -> None:
    tables = chunks["/episode_000000/cameras/front"]
    times = [of[0] for of in column(tables, "VideoFrameReference:timestamp")]
    np.testing.assert_allclose(times, np.arange(LENGTH) * 50_000_000)
    assert column(tables, "AssetVideo:media_type") == [["video/mp4"]]
    assert column(tables, "frame") == list(range(LENGTH))


def test_it_says_what_the_episode_is(chunks: dict[str, list[Any]]) -> None:
    (texts,) = column(chunks["/episode_000000"], "TextDocument:text")
    assert texts == ["lift, success yes, 30 frames"]
