"""What `data info` shows is what is there, whatever the format."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from robot_policy.cli.main import main
from robot_policy.core.episode import Episode, Success
from robot_policy.core.robot import load_robot
from robot_policy.core.specs import image_spec
from robot_policy.data.formats.registry import FORMATS

ROBOT = load_robot("panda_twin")
SPEC = replace(ROBOT.spec(), cameras={"wrist": image_spec(32, 48)})
LENGTHS = (4, 9, 6)


def episode(number: int, length: int) -> Episode:
    rng = np.random.default_rng(number)
    return Episode(
        stamps_ns=np.arange(length, dtype=np.int64) * round(SPEC.dt_s * 1e9),
        state=rng.normal(size=(length, SPEC.state.size)).astype(np.float32),
        actions=rng.uniform(-0.01, 0.01, (length, SPEC.action.size)).astype(np.float32),
        task=f"task [bold]{number % 2}",
        rewards=np.zeros(length, np.float32),
        success=(Success.YES, Success.NO)[number % 2],
        images={"wrist": rng.integers(0, 256, (length, 32, 48, 3), dtype=np.uint8)},
        metadata={"seed": number},
    )


def written(path: Path, name: str) -> Path:
    FORMATS[name].write(path, (episode(i, n) for i, n in enumerate(LENGTHS)), SPEC)
    return path


@pytest.mark.parametrize("name", [name for name in FORMATS if not name.startswith("rosbag")])
def test_any_format(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path / "set.hdf5", name)
    assert main(["data", "info", str(path), "--json", str(tmp_path / "info.json")]) == 0
    shown = capsys.readouterr().out
    for text in (name, "panda_twin", "20 Hz", "2 yes, 1 no", "4 to 9 frames, median 6"):
        assert text in shown
    assert "task [bold]0 (2)" in shown
    assert "32 x 48 x 3 uint8" in shown
    info = json.loads((tmp_path / "info.json").read_text())
    assert info["format"] == name
    assert (info["episodes"], info["frames"]) == (3, 19)
    assert info["tasks"] == {"task [bold]0": 2, "task [bold]1": 1}
    files = [path] if path.is_file() else [f for f in path.rglob("*") if f.is_file()]
    assert info["bytes"] == sum(f.stat().st_size for f in files)


def test_statistics(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path / "set", "lerobot_v3")
    result = tmp_path / "info.json"
    assert main(["data", "info", str(path), "--statistics", "--json", str(result)]) == 0
    info = json.loads(result.read_text())
    states = np.concatenate([episode(i, n).state for i, n in enumerate(LENGTHS)])
    of = info["statistics"]["observation.state"]
    np.testing.assert_allclose(of["mean"], states.mean(axis=0), atol=1e-6)
    exact = np.quantile(states, 0.9, axis=0, method="inverted_cdf")
    np.testing.assert_array_equal(info["exact_quantiles"]["observation.state"]["q90"], exact)
    assert np.shape(info["exact_quantiles"]["observation.images.wrist"]["q50"]) == (3, 1, 1)
    shown = capsys.readouterr().out
    for text in ("observation.images.wrist", "blue", "panda_joint7", "q99"):
        assert text in shown


def test_many_names_and_tasks_stay_on_the_screen(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    episodes = (replace(episode(i, 2), task=f"number {i}") for i in range(30))
    FORMATS["lerobot_v3"].write(tmp_path / "set", episodes, SPEC)
    assert main(["data", "info", str(tmp_path / "set")]) == 0
    shown = capsys.readouterr().out
    assert "and 24 more tasks" in shown
    assert f"({SPEC.state.size} names)" in shown
    assert shown.count("\n") < 40


def test_a_view_names_its_sources(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, view = written(tmp_path / "set", "lerobot_v3"), tmp_path / "view.json"
    main(["data", "filter", str(path), "--where", "success", "--output", str(view)])
    assert main(["data", "info", str(view)]) == 0
    shown = capsys.readouterr().out
    assert "(view" in shown
    assert "set: 2 episodes" in "".join(shown.split("\n")).replace("  ", "")
    assert "2 yes" in shown
