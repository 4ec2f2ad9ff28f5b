"""What a dataset's description does not tell of is told, so that nothing is lost in silence."""

import json
import shutil
from pathlib import Path
from typing import Any

import h5py
import pytest
from rich_recordings import LENGTHS, RICH, recordings

from robot_policy.core.errors import ConfigError
from robot_policy.data.convert.conversion import Conversion
from robot_policy.data.formats.registry import FORMATS, detect_format


def written(path: Path, name: str) -> Path:
    writer = FORMATS[name].create(path, RICH)
    for recording in recordings():
        writer.add(recording)
    writer.close()
    assert list(FORMATS[name].open(path).left_out) == []
    return path


def left_out(path: Path) -> str:
    return "\n".join(detect_format(path).open(path).left_out)


def change_info(root: Path, **changes: Any) -> None:
    path = root / "meta/info.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize("name", ["lerobot_v3", "lerobot_v21"])
def test_lerobot(name: str, tmp_path: Path) -> None:
    root = written(tmp_path / "set", name)
    change_info(root, total_episodes=2)
    total = sum(LENGTHS)
    expected = f"{LENGTHS[2]} of the {total} frames that meta/info.json tells of"
    assert left_out(root) == expected
    with pytest.raises(ConfigError, match=f"would lack 1 things: {expected}.*--allow-loss"):
        Conversion(root, tmp_path / "x", to="robomimic_hdf5").run()
    features = json.loads((root / "meta/info.json").read_text())["features"]
    for key in ("observation.tactile", "observation.images.front"):
        del features[key]
    change_info(root, total_episodes=3, features=features)
    assert left_out(root).splitlines() == [
        "observation.tactile: a column that meta/info.json does not tell of",
        "observation.images.front: videos that meta/info.json does not tell of",
    ]


def test_robomimic(tmp_path: Path) -> None:
    path = written(tmp_path / "set.hdf5", "robomimic_hdf5")
    with h5py.File(path, "r+") as file:
        file["data/demo_0/obs/more"] = [1.0] * LENGTHS[0]
        del file["data/demo_1"]
    assert left_out(path).splitlines() == [
        f"{LENGTHS[1]} of the {sum(LENGTHS)} frames that the file tells of",
        "obs/more: not in the description of the file",
    ]


def test_bags(tmp_path: Path) -> None:
    root = written(tmp_path / "set", "rosbag2_mcap")
    shutil.copy(root / "episode_000000.mcap", root / "more.mcap")
    text = (root / "metadata.yaml").read_text()
    (root / "metadata.yaml").write_text(text.replace("count: 12\n", "count: 14\n", 1))
    lines = left_out(root).splitlines()
    assert lines[-1] == "more.mcap: metadata.yaml does not tell of it"
    assert any(line.endswith("messages that metadata.yaml tells of") for line in lines)
