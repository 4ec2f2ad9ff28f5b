"""lerobot itself reads everything our recordings hold, and takes our v2.1 for what it is."""

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich_recordings import LENGTHS, recordings
from rich_recordings import RICH as RICHER

from robot_policy.core.observation import TASK
from robot_policy.data.formats.registry import FORMATS
from robot_policy.data.recording import Recording

pytestmark = [pytest.mark.peer, pytest.mark.filterwarnings("ignore")]


# torch has no tensors of large unsigned numbers, so lerobot has no such features.
RICH = replace(RICHER, features={k: f for k, f in RICHER.features.items() if f.dtype != "uint64"})


@pytest.fixture(scope="module")
def lerobot_dataset() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = pytest.importorskip("lerobot.datasets.lerobot_dataset")
    return module.LeRobotDataset


def write(path: Path, name: str) -> list[Recording]:
    writer = FORMATS[name].create(path, RICH)
    episodes = recordings()
    for recording in episodes:
        writer.add(recording)
    writer.close()
    return episodes


def assert_lerobot_reads(theirs: Any, episodes: list[Recording]) -> None:
    assert (theirs.num_episodes, theirs.num_frames) == (len(LENGTHS), sum(LENGTHS))
    index = 0
    for number, ours in enumerate(episodes):
        for t in range(len(ours)):
            item = theirs[index]
            assert item["episode_index"].item() == number
            assert item["task"] == ours.columns[TASK][t, 0]
            for key in RICH.columns:
                expected = ours.columns[key][t]
                if key == TASK:
                    continue
                if expected.dtype == object:
                    assert item[key] == expected[0]
                else:
                    got = np.asarray(item[key]).reshape(expected.shape)
                    # It hands out float32 whatever is stored.
                    np.testing.assert_array_equal(got, expected.astype(got.dtype), err_msg=key)
            for key, frames in ours.frames.items():
                image, pixels = np.asarray(item[key]), np.asarray(frames[t])  # pyright: ignore
                if key.endswith("depth"):
                    np.testing.assert_array_equal(image.reshape(pixels.shape[:2]), pixels[..., 0])
                    continue
                difference = np.abs(image.transpose(1, 2, 0) * 255 - pixels)
                assert difference.max() < 1e-3 if key.endswith("mask") else difference.mean() < 4
            index += 1


def test_lerobot_reads_every_kind_of_feature(lerobot_dataset: Any, tmp_path: Path) -> None:
    episodes = write(tmp_path / "set", "lerobot_v3")
    theirs = lerobot_dataset("local/set", root=tmp_path / "set", video_backend="pyav")
    assert_lerobot_reads(theirs, episodes)


def test_lerobots_own_converter_takes_our_v21(lerobot_dataset: Any, tmp_path: Path) -> None:
    """lerobot reads v3.0 only; its converter is what it has to say about v2.1."""
    from lerobot.scripts.convert_dataset_v21_to_v30 import convert_dataset

    episodes = write(tmp_path / "set", "lerobot_v21")
    convert_dataset("local/set", root=tmp_path / "set", push_to_hub=False)
    theirs = lerobot_dataset("local/set", root=tmp_path / "set", video_backend="pyav")
    assert_lerobot_reads(theirs, episodes)
    again = FORMATS["lerobot_v3"].open(tmp_path / "set")
    for ours, read in zip(episodes, (again.recording(i) for i in range(3)), strict=True):
        for key in RICH.columns:
            np.testing.assert_array_equal(read.columns[key], ours.columns[key])
