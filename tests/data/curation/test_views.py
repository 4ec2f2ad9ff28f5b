"""A view reads like a dataset of the episodes it names, in every way, and nothing is copied."""

import json
import re
import shlex
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robot_policy.cli.main import main
from robot_policy.core.episode import Episode, Success
from robot_policy.core.errors import ConfigError
from robot_policy.core.specs import ActionSpace, ArraySpec, PolicySpec, image_spec
from robot_policy.data.cache.frame_encoder import SizedFrames
from robot_policy.data.cache.open_cached import open_cached
from robot_policy.data.curation.split import parse_parts, split
from robot_policy.data.curation.view import View, is_view
from robot_policy.data.formats.registry import FORMATS, detect_format, find_format
from robot_policy.data.store import EpisodeStore

LENGTHS = (3, 5, 2, 4, 6, 1)
OUTCOMES = (Success.YES, Success.NO, Success.UNKNOWN)
SPEC = PolicySpec(
    robot="panda_twin",
    state=ArraySpec((2,)),
    action=ArraySpec((2,)),
    action_space=ActionSpace.JOINT_DELTA,
    dt_s=0.1,
    cameras={"wrist": image_spec(24, 24)},
)


def episode(number: int, length: int) -> Episode:
    """Every value says which episode and frame it is of."""
    place = np.stack([np.full(length, number), np.arange(length)], axis=1).astype(np.float32)
    frames = np.zeros((length, 24, 24, 3), np.uint8)
    frames[:] = (number * 10 + np.arange(length, dtype=np.uint8))[:, None, None, None]
    return Episode(
        stamps_ns=np.arange(length, dtype=np.int64) * 100_000_000,
        state=place,
        actions=place + 100,
        task=f"task {number}",
        rewards=np.zeros(length, np.float32),
        images={"wrist": frames},
        success=OUTCOMES[number % 3],
        metadata={"seed": number, "quality": "good" if number < 3 else "poor"},
    )


def write(path: Path, spec: PolicySpec = SPEC, lengths: tuple[int, ...] = LENGTHS) -> Path:
    episodes = (episode(i, n) for i, n in enumerate(lengths))
    if not spec.cameras:
        episodes = (replace(e, images={}) for e in episodes)
    FORMATS["lerobot_v3"].write(path, episodes, spec)
    return path


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("sets") / "set")


def data(*arguments: Any) -> int:
    return main(["data", *map(str, arguments)])


def numbers(path: Path) -> list[int]:
    """Which episodes of the counting dataset a view holds, by their values."""
    return [int(e.state[0, 0]) for e in detect_format(path).read(path, cameras=())]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--where", "success"], [0, 3]),
        (["--where", "outcome == 'no' or length > 5"], [1, 4]),
        (["--where", "quality == 'good' and not success"], [1, 2]),
        (["--where", "duration_s >= 0.4"], [1, 3, 4]),
        (["--where", "'3' in task"], [3]),
        (["--episodes", "1-2,5"], [1, 2, 5]),
        (["--episodes", "1-4", "--where", "episode % 2 == 0"], [2, 4]),
    ],
)
def test_filters(dataset: Path, tmp_path: Path, options: list[str], expected: list[int]) -> None:
    view = tmp_path / "view.json"
    assert data("filter", dataset, "--output", view, *options) == 0
    assert numbers(view) == expected
    assert view.stat().st_size < 1000
    assert is_view(view)
    assert find_format(view)[0] == "view"


def test_all_ways_of_reading_agree(dataset: Path, tmp_path: Path) -> None:
    view = tmp_path / "view.json"
    data("filter", dataset, "--episodes", "1,3,4", "--output", view)
    data("label", view, "--episodes", "1", "--set", "success=no", "score=0.5")
    whole = EpisodeStore.open(dataset, cameras=("wrist",))
    plain = EpisodeStore.open(view, cameras=("wrist",))
    cached = open_cached(view, encoders={"wrist": SizedFrames()}, root=tmp_path / "cache")
    for store in (plain, cached):
        assert [e.success for e in store.episodes] == [Success.NO, Success.NO, Success.NO]
        assert [e.metadata.get("score") for e in store.episodes] == [None, 0.5, None]
        assert [e.metadata["seed"] for e in store.episodes] == [1, 3, 4]
        np.testing.assert_array_equal(store.state, whole.select((1, 3, 4)).state)
        for number, episode_number in enumerate((1, 3, 4)):
            np.testing.assert_array_equal(
                store.images["wrist"][number], whole.images["wrist"][episode_number]
            )
    assert plain.episodes == cached.episodes
    assert plain.spec == cached.spec == whole.spec


def test_views_of_one_dataset_share_its_cache(dataset: Path, tmp_path: Path) -> None:
    for name, episodes in (("a", "0-2"), ("b", "3-5")):
        view = tmp_path / f"{name}.json"
        data("filter", dataset, "--episodes", episodes, "--output", view)
        open_cached(view, encoders={"wrist": SizedFrames()}, root=tmp_path / "cache")
    assert len(list((tmp_path / "cache").glob("windows/*/*/arrays"))) == 1


def test_labels_are_fields_and_reach_the_frames(dataset: Path, tmp_path: Path) -> None:
    view = tmp_path / "labelled.json"
    before = {f: f.read_bytes() for f in dataset.rglob("*") if f.is_file()}
    options = ("--where", "length < 3", "--set", "success=yes", "quality=best", "kept=true")
    assert data("label", dataset, "--output", view, *options) == 0
    assert data("filter", view, "--where", "kept", "--output", tmp_path / "kept.json") == 0
    assert numbers(tmp_path / "kept.json") == [2, 5]
    assert data("label", view, "--episodes", "5", "--set", "success=no") == 0
    reader = detect_format(view).open(view)
    last = [bool(reader.recording(n).columns["next.success"][-1, 0]) for n in range(6)]
    assert last == [True, False, True, True, False, False]
    recording = reader.recording(5)
    assert (recording.success, recording.metadata["quality"]) == (Success.NO, "best")
    assert {f: f.read_bytes() for f in dataset.rglob("*") if f.is_file()} == before


def test_a_view_of_a_view_names_the_dataset(dataset: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first.json", tmp_path / "deep" / "second.json"
    data("filter", dataset, "--where", "quality == 'poor'", "--output", first)
    data("filter", first, "--where", "episode > 0", "--output", second)
    (source,) = View.load(second).sources
    assert source.path == dataset.resolve()
    assert source.episodes == (4, 5)
    made_by = json.loads(second.read_text())["made_by"]
    assert [shlex.split(line)[2:4] for line in made_by] == [
        ["filter", str(dataset)],
        ["filter", str(first)],
    ]
    first.unlink()
    assert numbers(second) == [4, 5]


def test_view_and_dataset_may_move_together(dataset: Path, tmp_path: Path) -> None:
    shutil.copytree(dataset, tmp_path / "old" / "set")
    data("filter", tmp_path / "old/set", "--episodes", "2", "--output", tmp_path / "old/v.json")
    (tmp_path / "old").rename(tmp_path / "new")
    assert numbers(tmp_path / "new/v.json") == [2]


def test_splits(dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--parts", "train=0.5", "test=0.5", "--by", "quality")
    assert data("split", dataset, "--output", tmp_path / "parts", *options) == 0
    train, test = (numbers(tmp_path / f"parts/{name}.json") for name in ("train", "test"))
    assert sorted(train + test) == list(range(6))
    assert "train.json: 3 of 6 episodes" in capsys.readouterr().out
    assert data("split", dataset, "--output", tmp_path / "parts", *options) == 2
    assert "will not be overwritten" in capsys.readouterr().err


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from("abc"), min_size=10, max_size=60),
    st.integers(0, 99),
    st.sampled_from([{"a": 0.8, "b": 0.2}, {"a": 0.6, "b": 0.3, "c": 0.1}, {"a": 0.5}]),
)
def test_a_split_divides_every_group(groups: list[str], seed: int, parts: dict[str, float]) -> None:
    chosen = split(groups, parts, seed=seed)
    together = [episode for of in chosen.values() for episode in of]
    assert len(together) == len(set(together))
    assert chosen == split(groups, parts, seed=seed)
    for name, share in parts.items():
        assert abs(len(chosen[name]) - share * len(groups)) <= len(parts)
        for group in set(groups):
            got = sum(groups[episode] == group for episode in chosen[name])
            assert abs(got - share * groups.count(group)) <= len(parts) + 1
    if sum(parts.values()) > 0.99:
        assert len(together) == len(groups)


@pytest.mark.parametrize(
    "words", [["train"], ["train=x"], ["train=0"], ["a=0.5", "a=0.5"], ["a=0.7", "b=0.7"], ["=1"]]
)
def test_parts_that_are_none(words: list[str]) -> None:
    with pytest.raises(ConfigError, match=r"^--parts: "):
        parse_parts(words, where="--parts")


def test_merged_datasets_hold_what_both_hold(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    blind = write(tmp_path / "blind", replace(SPEC, cameras={}), (2, 3))
    view = tmp_path / "both.json"
    assert data("merge", dataset, blind, "--output", view) == 0
    said = capsys.readouterr().out
    assert "both.json: 8 episodes, 26 frames" in said
    assert "left out: observation.images.wrist: not in all datasets" in said
    store = EpisodeStore.open(view)
    assert store.state[:, 0].tolist() == [n for ns in (LENGTHS, (2, 3)) for n in repeated(ns)]
    assert store.spec.cameras == {}
    # A dataset of the same content is the same dataset, whatever its name.
    copy = shutil.copytree(blind, tmp_path / "copy")
    assert data("merge", view, copy, "--output", tmp_path / "twice.json") == 2
    assert "copy: an episode twice; got episode 0" in capsys.readouterr().err


def repeated(lengths: tuple[int, ...]) -> list[int]:
    return [number for number, length in enumerate(lengths) for _ in range(length)]


def test_datasets_that_do_not_go_together(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = write(tmp_path / "other", replace(SPEC, robot="so101"), (2,))
    assert data("merge", dataset, other, "--output", tmp_path / "both.json") == 2
    error = capsys.readouterr().err
    assert "other: another robot than the datasets before; expected panda_twin; got so101" in error
    assert not (tmp_path / "both.json").exists()


def test_a_source_that_changed_or_went(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = Path(shutil.copytree(dataset, tmp_path / "copy"))
    view = tmp_path / "view.json"
    data("filter", copy, "--episodes", "0", "--output", view)
    FORMATS["lerobot_v3"].write(copy, [episode(9, 2)], SPEC, append=True)
    for command in (["info", view], ["filter", view, "--episodes", "0", "--output", "x.json"]):
        assert data(*command) == 2
        assert "copy: the dataset has changed since the view was made" in capsys.readouterr().err
    shutil.rmtree(copy)
    assert data("info", view) == 2
    assert "a dataset of the view is gone" in capsys.readouterr().err


def test_a_view_becomes_a_dataset_when_asked_to(dataset: Path, tmp_path: Path) -> None:
    view, made = tmp_path / "view.json", tmp_path / "made.hdf5"
    data("label", dataset, "--where", "length < 4", "--set", "quality=short", "--output", view)
    data("filter", view, "--where", "quality == 'short'", "--output", tmp_path / "short.json")
    assert data("convert", tmp_path / "short.json", made, "--to", "robomimic_hdf5") == 0
    expected = list(detect_format(dataset).read(dataset, episodes=(0, 2, 5)))
    got = list(detect_format(made).read(made))
    for one, other in zip(expected, got, strict=True):
        np.testing.assert_array_equal(one.state, other.state)
        np.testing.assert_array_equal(one.images["wrist"], other.images["wrist"])
        assert other.metadata == {**one.metadata, "quality": "short"}


MISTAKES = {
    "nothing to choose by": ["filter", "{set}", "--output", "{new}.json"],
    "no episode is left": ["filter", "{set}", "--where", "length > 99", "--output", "{new}.json"],
    "unknown field 'lenght'; valid: .*did you mean 'length'": [
        "filter", "{set}", "--where", "lenght > 9", "--output", "{new}.json"
    ],
    "--where: not an expression": ["filter", "{set}", "--where", "a b", "--output", "{new}.json"],
    r"--episodes: no such episode; expected 0 \.\. 5": [
        "filter", "{set}", "--episodes", "6", "--output", "{new}.json"
    ],
    "a view ends in .json": ["filter", "{set}", "--episodes", "1", "--output", "{new}"],
    "expected two datasets or more": ["merge", "{set}", "--output", "{new}.json"],
    "a dataset is not changed": ["label", "{set}", "--set", "success=no"],
    "not an outcome; got maybe; valid: yes, no, unknown": [
        "label", "{set}", "--set", "success=maybe", "--output", "{new}.json"
    ],
    "this is measured, not labelled; got length": [
        "label", "{set}", "--set", "length=3", "--output", "{new}.json"
    ],
    "not a label; expected NAME=VALUE": ["label", "{set}", "--set", "x", "--output", "{new}.json"],
    "no episode to label": [
        "label", "{set}", "--where", "length > 99", "--set", "a=1", "--output", "{new}.json"
    ],
    "a part without an episode": [
        "split", "{set}", "--parts", "a=0.99", "b=0.01", "--output", "{new}"
    ],
}  # fmt: skip


@pytest.mark.parametrize(("message", "arguments"), MISTAKES.items(), ids=range(len(MISTAKES)))
def test_mistakes(
    dataset: Path,
    tmp_path: Path,
    message: str,
    arguments: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    places = {"set": str(dataset), "new": str(tmp_path / "new")}
    assert data(*(word.format(**places) for word in arguments)) == 2
    error = capsys.readouterr().err
    assert re.search(message, error), error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"sources": "x"},
        {"sources": [{}]},
        {"sources": [{"path": 3, "digest": "x", "episodes": "0"}]},
        {"sources": [{"path": "x", "digest": "x", "episodes": ""}]},
        {"sources": [{"path": "x", "digest": "x", "episodes": "0", "labels": {"1": {"a": 1}}}]},
        {"sources": [{"path": "x", "digest": "x", "episodes": "0", "labels": {"0": {"a": []}}}]},
    ],
)
def test_damaged_views(
    dataset: Path, tmp_path: Path, change: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    view = tmp_path / "view.json"
    data("filter", dataset, "--episodes", "0", "--output", view)
    view.write_text(json.dumps(json.loads(view.read_text()) | change))
    assert data("info", view) == 2
    assert "view.json: " in capsys.readouterr().err


def test_a_view_is_not_written_to(dataset: Path, tmp_path: Path) -> None:
    view = tmp_path / "view.json"
    data("filter", dataset, "--episodes", "0", "--output", view)
    before = view.read_bytes()
    with pytest.raises(ConfigError, match="a view holds no episodes of its own"):
        detect_format(view).write(view, [episode(0, 2)], SPEC, append=True)
    assert view.read_bytes() == before
