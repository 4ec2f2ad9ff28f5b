"""Every format into every other: to the bit, or told; stopped anywhere, it goes on."""

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from rich_recordings import LENGTHS, RICH, assert_same, recordings

from robot_policy.core.errors import ConfigError, DataError, UnknownNameError
from robot_policy.data.convert.conversion import Conversion
from robot_policy.data.convert.journal import Journal
from robot_policy.data.formats.lerobot_writer import LeRobotWriter
from robot_policy.data.formats.registry import FORMATS, detect_format
from robot_policy.data.frames import load_frames
from robot_policy.data.recording import Description, Feature, Recording

LEROBOT = ("lerobot_v3", "lerobot_v21")
# torch and LeRobot have no large unsigned numbers, but our files do; everything is tried.


def write(path: Path, name: str, description: Description = RICH) -> Path:
    writer = FORMATS[name].create(path, description)
    for recording in recordings():
        writer.add(recording)
    writer.close()
    return path


def read(path: Path) -> list[Recording]:
    reader = detect_format(path).open(path)
    return [reader.recording(position) for position in range(len(reader))]


@pytest.fixture(scope="module")
def datasets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("sources")
    return {name: write(folder / name, name) for name in FORMATS}


@pytest.mark.parametrize(("source", "target"), itertools.permutations(FORMATS, 2))
def test_there_and_back(
    datasets: dict[str, Path], source: str, target: str, tmp_path: Path
) -> None:
    """All features, their order, tasks, outcomes and metadata; and the images as they were read."""
    there, back = tmp_path / "there", tmp_path / "back"
    assert Conversion(datasets[source], there, to=target).run().episodes == len(LENGTHS)
    assert Conversion(there, back, to=source).run().frames == sum(LENGTHS)
    assert detect_format(there) is FORMATS[target]
    before, after = (detect_format(p).open(p).description for p in (datasets[source], back))
    assert list(after.features) == list(before.features)
    assert (after.spec, after.metadata) == (before.spec, before.metadata)
    lossy = source in LEROBOT and target not in LEROBOT
    lossy |= target in LEROBOT and source not in LEROBOT
    for expected, got in zip(read(datasets[source]), read(back), strict=True):
        loaded = {k: load_frames(f, where=k) for k, f in expected.frames.items()}
        assert_same(replace(expected, frames=loaded), got, colour_is_lossy=lossy)


@pytest.mark.parametrize(("source", "target"), itertools.permutations(LEROBOT))
def test_between_lerobots_versions_nothing_changes_at_all(
    datasets: dict[str, Path], source: str, target: str, tmp_path: Path
) -> None:
    """Not a bit of the files, videos and statistics included."""
    Conversion(datasets[source], tmp_path / "there", to=target).run()
    Conversion(tmp_path / "there", tmp_path / "back", to=source).run()

    def content(path: Path) -> dict[str, bytes]:
        files = sorted(f for f in path.rglob("*") if f.is_file() and f.suffix != ".mp4")
        return {str(f.relative_to(path)): f.read_bytes() for f in files}

    assert content(tmp_path / "back") == content(datasets[source])
    for expected, got in zip(read(datasets[source]), read(tmp_path / "back"), strict=True):
        for key, frames in expected.frames.items():
            np.testing.assert_array_equal(
                load_frames(got.frames[key], where=key), load_frames(frames, where=key)
            )


def test_lossless_images(datasets: dict[str, Path], tmp_path: Path) -> None:
    conversion = Conversion(
        datasets["robomimic_hdf5"], tmp_path / "set", to="lerobot_v3", images="lossless"
    )
    conversion.run()
    assert not list((tmp_path / "set").rglob("*.mp4"))
    for expected, got in zip(recordings(), read(tmp_path / "set"), strict=True):
        assert_same(expected, got, colour_is_lossy=False)


def test_the_plan_tells_what_becomes_of_images(datasets: dict[str, Path], tmp_path: Path) -> None:
    def notes(source: str, target: str, **options: Any) -> str:
        conversion = Conversion(datasets[source], tmp_path / "x", to=target, **options)
        assert conversion.plan.losses == ()
        return " ".join(conversion.plan.notes)

    assert "video is copied" in notes("lerobot_v3", "lerobot_v21")
    assert "video is decoded" in notes("lerobot_v3", "robomimic_hdf5")
    assert "compressed as H.264" in notes("rosbag2_mcap", "lerobot_v3")
    assert notes("rosbag2_mcap", "lerobot_v3", images="lossless") == ""
    assert notes("robomimic_hdf5", "rosbag2_mcap") == ""


def test_nothing_is_lost_without_being_asked(tmp_path: Path) -> None:
    source = tmp_path / "theirs.hdf5"
    with h5py.File(source, "w") as file:
        demo = file.create_group("data/demo_0")
        demo.attrs["num_samples"] = 4
        demo["actions"] = np.zeros((4, 3))
        demo["obs/robot0_eef_pos"] = np.arange(12.0).reshape(4, 3)
        demo["obs/names"] = np.array([[b"a", b"b"]] * 4)
        demo["next_obs/robot0_eef_pos"] = np.arange(12.0).reshape(4, 3)
        demo["notes"] = np.zeros(2)
    conversion = Conversion(source, tmp_path / "set", to="lerobot_v3")
    with pytest.raises(ConfigError) as error:
        conversion.run()
    text = str(error.value)
    assert "the target would lack 3 things" in text
    assert "next_obs: the observation after the last action" in text
    assert "notes: not one value per frame" in text
    assert "observation.names: more than one text per frame cannot be stored" in text
    assert "--allow-loss converts without them" in text
    assert list(tmp_path.iterdir()) == [source]
    assert conversion.run(allow_loss=True).episodes == 1
    assert set(read(tmp_path / "set")[0].columns) >= {"observation.state", "action"}


@pytest.mark.parametrize("target", FORMATS)
def test_a_conversion_that_was_stopped_goes_on(
    datasets: dict[str, Path], target: str, tmp_path: Path
) -> None:
    source = datasets["lerobot_v3" if target != "lerobot_v3" else "lerobot_v21"]
    Conversion(source, tmp_path / "whole", to=target).run()

    def stop_after(episodes: int) -> None:
        def stop(done: int, frames: int) -> None:
            if done == episodes:
                raise KeyboardInterrupt

        Conversion(source, tmp_path / "parts", to=target).run(report=stop)

    counts: list[tuple[int, int]] = []
    for episodes in (1, 2):
        with pytest.raises(KeyboardInterrupt):
            stop_after(episodes)
    done = Conversion(source, tmp_path / "parts", to=target).run(
        report=lambda done, frames: counts.append((done, frames))
    )
    assert (done.before, done.episodes, done.frames) == (2, 3, LENGTHS[2])
    assert counts == [(3, LENGTHS[2])]
    for expected, got in zip(read(tmp_path / "whole"), read(tmp_path / "parts"), strict=True):
        loaded = {k: load_frames(f, where=k) for k, f in expected.frames.items()}
        assert_same(replace(expected, frames=loaded), got, colour_is_lossy=False)
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]


def test_it_goes_on_only_as_it_was_begun(datasets: dict[str, Path], tmp_path: Path) -> None:
    source, target = datasets["lerobot_v3"], tmp_path / "set"

    def stop(done: int, frames: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Conversion(source, target, to="lerobot_v21").run(report=stop)
    for changed, what in (
        (Conversion(source, target, to="robomimic_hdf5"), "another to"),
        (Conversion(source, target, to="lerobot_v21", images="lossless"), "another images"),
        (Conversion(datasets["rosbag2_mcap"], target, to="lerobot_v21"), "another source"),
    ):
        with pytest.raises(ConfigError, match=f"unfinished conversion is there, with {what}"):
            changed.run()
    Conversion(source, target, to="lerobot_v21").run()
    with pytest.raises(ConfigError, match="will not be overwritten"):
        Conversion(source, target, to="lerobot_v21").run()


def test_what_somebody_else_put_there_is_not_touched(
    datasets: dict[str, Path], tmp_path: Path
) -> None:
    """Even where a conversion was begun and its beginning replaced by something of value."""
    source, target = datasets["lerobot_v3"], tmp_path / "set"
    conversion = Conversion(source, target, to="lerobot_v21")
    Journal(target, conversion._started_with()).begin()
    target.mkdir()
    (target / "thesis.txt").write_text("years of work")
    with pytest.raises(ConfigError, match="will not be overwritten"):
        Conversion(source, target, to="lerobot_v21").run()
    assert (target / "thesis.txt").read_text() == "years of work"
    (target / "thesis.txt").rename(tmp_path / "thesis.txt")
    (target / "meta").mkdir()
    (target / "meta/robot_policy.json").write_text("{}")  # what a kill leaves
    assert Conversion(source, target, to="lerobot_v21").run().episodes == 3


def test_damage_is_named_and_what_is_before_it_is_kept(
    datasets: dict[str, Path], tmp_path: Path
) -> None:
    source = write(tmp_path / "source", "lerobot_v21")
    damaged = source / "data/chunk-000/episode_000001.parquet"
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[:100])
    with pytest.raises(DataError, match="episode_000001"):
        Conversion(source, tmp_path / "set", to="robomimic_hdf5").run()
    assert len(read(tmp_path / "set")) == 1
    damaged.write_bytes(whole)
    again = Conversion(source, tmp_path / "set", to="robomimic_hdf5")
    with pytest.raises(ConfigError, match="another content of the source"):
        again.run()


def test_missing_numbers_are_kept_as_metadata(datasets: dict[str, Path], tmp_path: Path) -> None:
    """Of a dataset of somebody else; of ours the metadata say where it comes from."""
    source = write(tmp_path / "source", "lerobot_v21")
    import json

    info = json.loads((source / "meta/info.json").read_text())
    lines = (source / "meta/episodes.jsonl").read_text().splitlines()
    kept = [json.loads(line) for line in (lines[0], lines[2])]
    for line in kept:
        del line["metadata"], line["success"]
    text = "".join(json.dumps(line) + "\n" for line in kept)
    (source / "meta/episodes.jsonl").write_text(text)
    (source / "meta/info.json").write_text(json.dumps(info | {"total_episodes": 2}))
    Conversion(source, tmp_path / "set", to="lerobot_v3").run()
    found = read(tmp_path / "set")
    assert [dict(r.metadata) for r in found] == [{}, {"episode_index": 2}]
    assert [len(r) for r in found] == [LENGTHS[0], LENGTHS[2]]
    assert found[1].columns["episode_index"][:, 0].tolist() == [1] * LENGTHS[2]


def test_wrong_arguments(datasets: dict[str, Path], tmp_path: Path) -> None:
    source = datasets["lerobot_v3"]
    with pytest.raises(UnknownNameError, match="unknown format 'lerobot_v4'"):
        Conversion(source, tmp_path / "set", to="lerobot_v4")
    with pytest.raises(ConfigError, match="source and target are the same"):
        Conversion(source, source, to="lerobot_v21")
    with pytest.raises(UnknownNameError, match="way to store images"):
        Conversion(source, tmp_path / "set", to="lerobot_v3", images="gif")


def test_images_are_never_all_in_memory(
    datasets: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the format, a writer is handed images one by one."""
    seen: list[int] = []
    original = LeRobotWriter._write_video

    def watch(self: LeRobotWriter, key: str, feature: Feature, recording: Recording) -> Any:
        assert not isinstance(recording.frames[key], np.ndarray)
        seen.append(len(recording))
        return original(self, key, feature, recording)

    monkeypatch.setattr(LeRobotWriter, "_write_video", watch)
    for name in ("robomimic_hdf5", "rosbag2_mcap", "lerobot_v21"):
        Conversion(datasets[name], tmp_path / name, to="lerobot_v3").run()
    assert len(seen) == 9
