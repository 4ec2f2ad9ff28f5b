"""lerobot itself opens what is written here, and what lerobot writes is opened here."""

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from robot_policy.core.episode import Episode, Success
from robot_policy.core.specs import ActionSpace, ArraySpec, PolicySpec, image_spec
from robot_policy.data.formats.registry import FORMATS
from robot_policy.data.statistics import merge_statistics, vector_statistics
from robot_policy.data.store import EpisodeStore
from robot_policy.data.validation.validator import validate
from robot_policy.data.windows import WindowDataset

pytestmark = [
    pytest.mark.peer,
    pytest.mark.filterwarnings("ignore"),
]

HEIGHT, WIDTH = 48, 64
PLAIN = PolicySpec(
    robot="panda_twin",
    state=ArraySpec((3,), names=("x", "y", "z")),
    action=ArraySpec((2,), names=("dx", "gripper")),
    action_space=ActionSpace.EE_DELTA_POSE,
    dt_s=0.05,
    environment_state=ArraySpec((1,)),
)
VIDEO = replace(PLAIN, cameras={"wrist": image_spec(HEIGHT, WIDTH), "front": image_spec(33, 47)})
LENGTHS = (6, 1, 9)


@pytest.fixture(scope="module")
def lerobot_dataset() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = pytest.importorskip("lerobot.datasets.lerobot_dataset")
    return module.LeRobotDataset


def picture(height: int, width: int, phase: float) -> NDArray[np.uint8]:
    y, x = np.mgrid[:height, :width]
    waves = [np.sin(x / 15 + phase), np.cos(y / 15 + phase), np.sin((x + y) / 30 + phase)]
    return (127 + 100 * np.stack(waves, axis=-1)).astype(np.uint8)


def episode(spec: PolicySpec, number: int, length: int) -> Episode:
    rng = np.random.default_rng(number)
    return Episode(
        stamps_ns=np.arange(length, dtype=np.int64) * 50_000_000 + 17,
        state=rng.normal(size=(length, 3)).astype(np.float32),
        actions=rng.normal(size=(length, 2)).astype(np.float32),
        task=f"task {number % 2}",
        rewards=rng.normal(size=length).astype(np.float32),
        success=Success.YES,
        environment_state=rng.normal(size=(length, 1)).astype(np.float32),
        images={
            name: np.stack([picture(*image.shape[:2], 0.3 * t + number) for t in range(length)])
            for name, image in spec.cameras.items()
        },
        metadata={"seed": number},
    )


def written(path: Path, spec: PolicySpec) -> list[Episode]:
    episodes = [episode(spec, number, length) for number, length in enumerate(LENGTHS)]
    FORMATS["lerobot_v3"].write(path, episodes, spec)
    return episodes


@pytest.mark.parametrize("spec", [PLAIN, VIDEO], ids=["without video", "with video"])
def test_lerobot_reads_what_we_write(
    lerobot_dataset: Any, spec: PolicySpec, tmp_path: Path
) -> None:
    episodes = written(tmp_path / "set", spec)
    theirs = lerobot_dataset("local/set", root=tmp_path / "set", video_backend="pyav")
    assert (theirs.num_episodes, theirs.num_frames) == (3, sum(LENGTHS))
    assert (theirs.fps, theirs.meta.robot_type) == (20, "panda_twin")
    index = 0
    for number, ours in enumerate(episodes):
        for t in range(len(ours)):
            item = theirs[index]
            np.testing.assert_array_equal(item["observation.state"], ours.state[t])
            np.testing.assert_array_equal(item["action"], ours.actions[t])
            np.testing.assert_array_equal(
                np.ravel(item["observation.environment_state"]), ours.environment_state[t]
            )
            assert item["observation.stamp_ns"].item() == ours.stamps_ns[t]
            assert item["next.reward"].item() == ours.rewards[t]
            assert item["next.success"].item() == (t == len(ours) - 1)
            assert item["timestamp"].item() == pytest.approx(t / 20)
            assert item["task"] == ours.task
            assert item["episode_index"].item() == number
            for camera, frames in ours.images.items():
                image = item[f"observation.images.{camera}"].numpy().transpose(1, 2, 0) * 255
                assert np.abs(image - frames[t]).mean() < 3
            index += 1


def test_lerobot_cuts_the_same_windows(lerobot_dataset: Any, tmp_path: Path) -> None:
    written(tmp_path / "set", PLAIN)
    deltas = {
        "observation.state": [-0.05, 0.0],
        "action": [k / 20 for k in range(-1, 4)],
    }
    theirs = lerobot_dataset("local/set", root=tmp_path / "set", delta_timestamps=deltas)
    store = EpisodeStore.open(tmp_path / "set")
    windows = WindowDataset(store, history=2, past=1, horizon=4, use_environment_state=False)
    batch = windows.batch(np.arange(len(windows)))
    assert len(theirs) == len(windows)
    for index in range(len(theirs)):
        item = theirs[index]
        for key in ("observation.state", "action", "action_is_pad"):
            np.testing.assert_array_equal(item[key], batch[key][index])
        np.testing.assert_array_equal(
            item["observation.state_is_pad"], batch["observation_is_pad"][index]
        )


def test_lerobot_opens_what_a_kill_left(lerobot_dataset: Any, tmp_path: Path) -> None:
    """Files of a third episode are there, info.json still tells of two."""
    path = tmp_path / "set"
    written(path, VIDEO)
    before = {name: (path / name).read_bytes() for name in ("meta/info.json", "meta/stats.json")}
    FORMATS["lerobot_v3"].write(path, [episode(VIDEO, 3, 4)], VIDEO, append=True)
    for name, data in before.items():
        (path / name).write_bytes(data)
    staged = path / ".partial/file-004.parquet"
    staged.parent.mkdir()
    staged.write_bytes(b"half a file")
    theirs = lerobot_dataset("local/set", root=path, video_backend="pyav")
    assert (theirs.num_episodes, len(theirs)) == (3, sum(LENGTHS))
    assert theirs[len(theirs) - 1]["episode_index"].item() == 2
    assert len(EpisodeStore.open(path).episodes) == 3


FEATURES = {
    "observation.state": {"dtype": "float32", "shape": (3,), "names": ["x", "y", "z"]},
    "action": {"dtype": "float32", "shape": (2,), "names": {"motors": ["dx", "gripper"]}},
    "next.reward": {"dtype": "float32", "shape": (1,), "names": None},
}
CAMERA = {"shape": (HEIGHT, WIDTH, 3), "names": ["height", "width", "channels"]}


def recorded_by_lerobot(
    lerobot_dataset: Any, path: Path, kind: str | None
) -> tuple[list[Episode], Any]:
    features = dict(FEATURES)
    spec = replace(PLAIN, cameras={"wrist": image_spec(HEIGHT, WIDTH)} if kind else {})
    if kind:
        features["observation.images.wrist"] = {"dtype": kind, **CAMERA}
    theirs = lerobot_dataset.create(
        "local/set", fps=20, features=features, root=path, robot_type="so101",
        use_videos=kind == "video",
    )  # fmt: skip
    episodes = [episode(spec, number, length) for number, length in enumerate((6, 4, 9))]
    for ours in episodes:
        for t in range(len(ours)):
            frame = {
                "observation.state": ours.state[t],
                "action": ours.actions[t],
                "next.reward": ours.rewards[t : t + 1],
                "task": ours.task,
            }
            if kind:
                frame["observation.images.wrist"] = ours.images["wrist"][t]
            theirs.add_frame(frame)
        theirs.save_episode()
    theirs.finalize()
    return episodes, theirs


@pytest.mark.parametrize("kind", [None, "video", "image"])
def test_we_read_what_lerobot_writes(
    lerobot_dataset: Any, kind: str | None, tmp_path: Path
) -> None:
    """Several episodes share its files, and its videos are AV1 with a key frame now and then."""
    episodes, _ = recorded_by_lerobot(lerobot_dataset, tmp_path / "set", kind)
    cameras = ("wrist",) if kind else ()
    store = EpisodeStore.open(tmp_path / "set", cameras=cameras)
    assert store.spec.robot == "so101"
    assert store.spec.state.names == ("x", "y", "z")
    assert store.spec.action.names == ("dx", "gripper")
    assert store.spec.dt_s == pytest.approx(0.05)
    assert [e.task for e in store.episodes] == [e.task for e in episodes]
    assert [e.success for e in store.episodes] == [Success.UNKNOWN] * 3
    np.testing.assert_array_equal(store.state, np.concatenate([e.state for e in episodes]))
    np.testing.assert_array_equal(store.actions, np.concatenate([e.actions for e in episodes]))
    np.testing.assert_array_equal(store.rewards, np.concatenate([e.rewards for e in episodes]))
    assert (np.diff(store.stamps_ns[:6]) == 50_000_000).all()
    for number, ours in enumerate(episodes if kind else []):
        difference = np.abs(store.images["wrist"][number].astype(int) - ours.images["wrist"])
        assert difference.max() == 0 if kind == "image" else difference.mean() < 4


@pytest.mark.parametrize("kind", ["video", "image"])
def test_nothing_is_wrong_with_what_lerobot_writes(
    lerobot_dataset: Any, kind: str, tmp_path: Path
) -> None:
    """Its statistics, indices, row ranges and video times are what the checks expect."""
    recorded_by_lerobot(lerobot_dataset, tmp_path / "set", kind)
    report = validate(tmp_path / "set")
    assert not report.has_errors, report.findings
    assert "video-off-grid" not in report.counts
    assert (report.episodes, report.frames) == (3, 19)


def test_statistics_are_lerobots(lerobot_dataset: Any, tmp_path: Path) -> None:
    """Of an episode, and merged over episodes, except how quantiles are rounded."""
    from lerobot.datasets.compute_stats import aggregate_stats, compute_episode_stats

    feature = {"action": {"dtype": "float32", "shape": (2,)}}
    parts = [np.random.default_rng(s).normal(s, 1 + s, (3000, 2)) for s in range(3)]
    theirs = [compute_episode_stats({"action": x.astype(np.float32)}, feature) for x in parts]
    ours = [vector_statistics(x.astype(np.float32)) for x in parts]
    pairs = [(t["action"], o) for t, o in zip(theirs, ours, strict=True)]
    pairs.append((aggregate_stats(theirs)["action"], merge_statistics(ours)))
    for expected, got in pairs:
        assert expected.keys() == got.keys()
        width = (got["max"] - got["min"]).max()
        for name, value in expected.items():
            exact = not name.startswith("q")
            np.testing.assert_allclose(
                got[name], value, rtol=1e-4 if exact else 0, atol=1e-4 if exact else width / 200,
                err_msg=name,
            )  # fmt: skip


def test_image_statistics_are_lerobots(lerobot_dataset: Any, tmp_path: Path) -> None:
    episodes, theirs = recorded_by_lerobot(lerobot_dataset, tmp_path / "theirs", "image")
    spec = replace(PLAIN, cameras={"wrist": image_spec(HEIGHT, WIDTH)})
    FORMATS["lerobot_v3"].write(tmp_path / "ours", episodes, spec)
    ours = lerobot_dataset("local/set", root=tmp_path / "ours", video_backend="pyav")
    expected, got = (d.meta.stats["observation.images.wrist"] for d in (theirs, ours))
    for name in ("min", "max", "mean", "std", "count"):
        assert got[name].shape == expected[name].shape
        np.testing.assert_allclose(got[name], expected[name], atol=1e-4, err_msg=name)
    for name in ("q01", "q50", "q99"):
        np.testing.assert_allclose(got[name], expected[name], atol=0.02, err_msg=name)
