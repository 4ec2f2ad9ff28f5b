"""A cached dataset is the dataset, however often, by whomever and from wherever it is opened."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from robot_policy.core.episode import Episode, Success
from robot_policy.core.errors import ConfigError, DataError, UnknownNameError
from robot_policy.core.images import resize
from robot_policy.core.specs import ActionSpace, ArraySpec, PolicySpec, image_spec
from robot_policy.data.cache import builder
from robot_policy.data.cache.frame_encoder import FrameEncoder, SizedFrames
from robot_policy.data.cache.open_cached import open_cached
from robot_policy.data.formats.registry import FORMATS
from robot_policy.data.store import EpisodeStore

SPEC = PolicySpec(
    robot="panda_twin",
    state=ArraySpec((3,)),
    action=ArraySpec((2,)),
    action_space=ActionSpace.JOINT_DELTA,
    dt_s=0.1,
    environment_state=ArraySpec((1,)),
    cameras={"wrist": image_spec(24, 32), "front": image_spec(16, 16)},
)
LENGTHS = (4, 1, 3)
WHOLE = {"wrist": SizedFrames(), "front": SizedFrames()}


def episode(number: int, length: int) -> Episode:
    rng = np.random.default_rng(number)
    return Episode(
        stamps_ns=np.arange(length, dtype=np.int64) * 100_000_000,
        state=rng.normal(size=(length, 3)).astype(np.float32),
        actions=rng.normal(size=(length, 2)).astype(np.float32),
        task=f"task {number}",
        rewards=rng.normal(size=length).astype(np.float32),
        success=list(Success)[number % 3],
        environment_state=rng.normal(size=(length, 1)).astype(np.float32),
        images={
            name: rng.integers(0, 256, (length, *image.shape), dtype=np.uint8)
            for name, image in SPEC.cameras.items()
        },
        metadata={"seed": number, "nested": {"noise": 0.1}},
    )


def write(path: Path, lengths: Sequence[int] = LENGTHS) -> Path:
    FORMATS["lerobot_v3"].write(path, (episode(i, n) for i, n in enumerate(lengths)), SPEC)
    return path


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    return write(tmp_path / "set")


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Cameras that were decoded, in order."""
    cameras: list[str] = []
    build = builder.build_frames

    def counted(source: Any, part: Path, camera: str, *rest: Any, **options: Any) -> None:
        cameras.append(camera)
        build(source, part, camera, *rest, **options)

    monkeypatch.setattr(builder, "build_frames", counted)
    return cameras


def assert_same(got: EpisodeStore, expected: EpisodeStore) -> None:
    for name in ("state", "actions", "rewards", "stamps_ns", "environment_state", "starts"):
        a, b = getattr(got, name), getattr(expected, name)
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b, err_msg=name)
    assert got.episodes == expected.episodes
    assert got.spec == expected.spec
    assert got.images.keys() == expected.images.keys()
    for camera, frames in expected.images.items():
        for one, other in zip(got.images[camera], frames, strict=True):
            np.testing.assert_array_equal(one, other)
    assert got.statistics.keys() == expected.statistics.keys()
    for key, of in expected.statistics.items():
        for name, values in of.items():
            np.testing.assert_allclose(got.statistics[key][name], values, err_msg=f"{key} {name}")


@pytest.mark.parametrize("threads", [1, 3])
def test_it_is_what_reading_gives(dataset: Path, tmp_path: Path, threads: int) -> None:
    expected = EpisodeStore.open(dataset, cameras=tuple(WHOLE))
    for _ in range(2):  # built, and mapped
        store = open_cached(dataset, encoders=WHOLE, root=tmp_path / "cache", threads=threads)
        assert_same(store, expected)
    every = np.arange(len(store))
    np.testing.assert_array_equal(store.frames("wrist", every), expected.frames("wrist", every))


def test_it_is_mapped_and_cannot_be_written(dataset: Path, tmp_path: Path) -> None:
    store = open_cached(dataset, encoders=WHOLE, root=tmp_path / "cache")
    for array in (store.state, store.images["front"][0]):
        assert not array.flags.writeable
        assert not array.flags.owndata


def test_it_is_decoded_once(dataset: Path, tmp_path: Path, decoded: list[str]) -> None:
    root = tmp_path / "cache"
    open_cached(dataset, encoders={"wrist": SizedFrames()}, root=root, threads=1)
    assert decoded == ["wrist"]
    open_cached(dataset, encoders=WHOLE, root=root, threads=1)
    assert decoded == ["wrist", "front"]
    decoded.clear()
    open_cached(dataset, encoders=WHOLE, root=root, threads=1)
    moved = dataset.rename(tmp_path / "moved")
    copy = Path(shutil.copytree(moved, tmp_path / "copy"))
    for path in (moved, copy):
        open_cached(path, encoders=WHOLE, root=root, threads=1)
    assert decoded == []


def test_a_size_is_built_beside_the_others(dataset: Path, tmp_path: Path) -> None:
    full = EpisodeStore.open(dataset, cameras=("wrist",))
    for size in ((8, 8), (12, 16), (24, 32)):
        small = open_cached(dataset, encoders={"wrist": SizedFrames(size)}, root=tmp_path / "cache")
        assert small.spec.cameras["wrist"] == image_spec(*size)
        for one, other in zip(small.images["wrist"], full.images["wrist"], strict=True):
            np.testing.assert_array_equal(one, resize(other, size))


@dataclass(frozen=True)
class Brightness:
    """An embedding of two numbers."""

    gain: float

    @property
    def key(self) -> str:
        return f"brightness/{self.gain}"

    def spec(self, frame: ArraySpec) -> ArraySpec:
        return ArraySpec((2,))

    def encode(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        mean = frames.mean(axis=(1, 2, 3), dtype=np.float64)
        return np.stack([mean * self.gain, mean], axis=1).astype(np.float32)


def test_embeddings_are_kept_like_frames(dataset: Path, tmp_path: Path) -> None:
    full = EpisodeStore.open(dataset, cameras=("wrist",))
    for gain in (1.0, 2.0):
        encoder: FrameEncoder = Brightness(gain)
        store = open_cached(dataset, encoders={"wrist": encoder}, root=tmp_path / "cache")
        assert store.spec.cameras["wrist"] == ArraySpec((2,))
        whole = np.concatenate([encoder.encode(frames) for frames in full.images["wrist"]])
        np.testing.assert_array_equal(store.frames("wrist", np.arange(len(store))), whole)
        of = store.statistics["observation.images.wrist"]
        np.testing.assert_allclose(of["mean"], whole.mean(axis=0), rtol=1e-6)
        assert of["count"].tolist() == [sum(LENGTHS)]


def test_a_change_of_the_source_is_noticed(dataset: Path, tmp_path: Path) -> None:
    root = tmp_path / "cache"
    open_cached(dataset, encoders=WHOLE, root=root)
    FORMATS["lerobot_v3"].write(dataset, [episode(9, 6)], SPEC, append=True)
    store = open_cached(dataset, encoders=WHOLE, root=root)
    assert_same(store, EpisodeStore.open(dataset, cameras=tuple(WHOLE)))
    assert len(store.episodes) == len(LENGTHS) + 1
    # Same size, and the same time as if a clever tool had set it back.
    video = next(dataset.glob("videos/*wrist/*/file-000.mp4"))
    before = video.stat()
    data = bytearray(video.read_bytes())
    data[-1] ^= 1
    video.write_bytes(data)
    os.utime(video, ns=(before.st_atime_ns, before.st_mtime_ns))
    open_cached(dataset, encoders={"front": SizedFrames()}, root=root)
    entries = list((root / "windows/v1").iterdir())
    assert len(entries) == 1, "what was built from the older content is gone"


def test_a_damaged_cache_is_built_again(dataset: Path, tmp_path: Path, decoded: list[str]) -> None:
    root = tmp_path / "cache"
    expected = EpisodeStore.open(dataset, cameras=tuple(WHOLE))
    open_cached(dataset, encoders=WHOLE, root=root)
    files = sorted(f for f in root.rglob("*") if f.is_file() and f.name != ".lock")
    assert len(files) > 10
    for file in files:
        data = file.read_bytes()
        for damaged in (data[: len(data) // 2], b"", None):
            file.unlink() if damaged is None else file.write_bytes(damaged)
            assert_same(open_cached(dataset, encoders=WHOLE, root=root, threads=1), expected)


def test_a_source_that_changes_meanwhile(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = builder.build_arrays

    def touched(*arguments: Any) -> None:
        (dataset / "meta/notes.txt").write_text("someone is still at work")
        build(*arguments)

    monkeypatch.setattr(builder, "build_arrays", touched)
    with pytest.raises(DataError, match="set: changed while it was read; run it again"):
        open_cached(dataset, encoders=WHOLE, root=tmp_path / "cache")
    assert list((tmp_path / "cache").rglob("*.npy")) == []


def test_an_error_leaves_nothing_behind(dataset: Path, tmp_path: Path) -> None:
    video = next(dataset.glob("videos/*front/*/file-002.mp4"))
    video.write_bytes(video.read_bytes()[:200])
    with pytest.raises(DataError, match="not a readable video"):
        open_cached(dataset, encoders=WHOLE, root=tmp_path / "cache")
    parts = {path.parent.name for path in (tmp_path / "cache").rglob("*.npy")}
    assert parts == {"arrays", "wrist@frames"}


def test_what_is_wrong_is_said(dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"no camera 'chest'; valid: wrist, front"):
        open_cached(dataset, encoders={"chest": SizedFrames()}, root=tmp_path / "cache")
    with pytest.raises(DataError, match="no such dataset"):
        open_cached(tmp_path / "nothing", encoders={}, root=tmp_path / "cache")
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"the cache cannot be written.*--cache"):
        open_cached(dataset, encoders=WHOLE, root=tmp_path / "file")


def test_a_full_disk_is_said_before_anything_is_decoded(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(ConfigError, match=r"does not fit on the disk; expected 0\.0 GB free"):
        open_cached(dataset, encoders=WHOLE, root=tmp_path / "cache")
    assert list((tmp_path / "cache").rglob("frames.npy")) == []


MANY = """
import os, signal, sys, time
from pathlib import Path
sys.path.insert(0, {folder!r})
from test_open_cached import WHOLE, SizedFrames
from robot_policy.data.cache.open_cached import open_cached

path, root, mode = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]

def kill_at_the_nth_file(left):
    def hook(event, arguments):
        nonlocal left
        if event in ("os.rename", "os.mkdir"):
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(hook)

status, number = None, 0
children = []
while mode == "kill" and status != 0 or mode == "race" and number < 4:
    pid = os.fork()
    if pid == 0:
        if mode == "kill":
            kill_at_the_nth_file(number)
        store = open_cached(path, encoders=WHOLE, root=root, threads=1)
        assert len(store.images["front"]) == {count}
        os._exit(0)
    if mode == "kill":
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        assert status in (0, -signal.SIGKILL), status
    else:
        children.append(pid)
    number += 1
for pid in children:
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
print(number)
"""


def run_many(dataset: Path, root: Path, mode: str) -> int:
    script = MANY.format(folder=str(Path(__file__).parent), count=len(LENGTHS))
    command = [sys.executable, "-W", "ignore", "-c", script, str(dataset), str(root), mode]
    run = subprocess.run(command, timeout=120, check=True, capture_output=True, text=True)
    return int(run.stdout)


def test_builders_that_are_killed_leave_nothing_that_is_used(dataset: Path, tmp_path: Path) -> None:
    """Killed before every file or folder gets its name in turn, all in the same cache."""
    root = tmp_path / "cache"
    assert run_many(dataset, root, "kill") > 5
    store = open_cached(dataset, encoders=WHOLE, root=root)
    assert_same(store, EpisodeStore.open(dataset, cameras=tuple(WHOLE)))
    assert list(root.rglob(".building-*")) == []


def test_builders_at_the_same_time(dataset: Path, tmp_path: Path) -> None:
    root = tmp_path / "cache"
    assert run_many(dataset, root, "race") == 4
    store = open_cached(dataset, encoders=WHOLE, root=root)
    assert_same(store, EpisodeStore.open(dataset, cameras=tuple(WHOLE)))
    assert list(root.rglob(".building-*")) == []


def test_without_locks_the_first_part_stays(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a file system that has none: two build at once, and both can use the result."""
    root = tmp_path / "cache"
    build: Callable[..., None] = builder.build_frames
    inner: list[EpisodeStore] = []

    def interrupted(*arguments: Any, **options: Any) -> None:
        if not inner:
            inner.append(EpisodeStore.open(dataset))  # a place holder: do not come here again
            inner[0] = open_cached(dataset, encoders=WHOLE, root=root)
        build(*arguments, **options)

    monkeypatch.setattr("robot_policy.data.cache.location._lock", lambda _: False)
    monkeypatch.setattr(builder, "build_frames", interrupted)
    outer = open_cached(dataset, encoders=WHOLE, root=root)
    assert_same(inner[0], outer)
    assert list(root.rglob(".building-*")) == []
