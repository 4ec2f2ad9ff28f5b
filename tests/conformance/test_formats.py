"""Every format in the registry: round trip, interruption, damage. A new format is covered by its
registry line alone."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from robot_policy.core.episode import Episode, Success
from robot_policy.core.errors import (
    ConfigError,
    DataError,
    RobotPolicyError,
    SpecError,
    UnknownNameError,
)
from robot_policy.core.specs import ActionSpace, ArraySpec, PolicySpec, image_spec
from robot_policy.data.formats.episode_format import EpisodeFormat
from robot_policy.data.formats.registry import FORMATS, detect_format
from robot_policy.data.store import EpisodeStore

PLAIN = PolicySpec(
    robot="panda_twin",
    state=ArraySpec((3,), names=("x", "y", "z"), units=("m", "m", "m")),
    action=ArraySpec((2,), names=("dx", "gripper"), low=(-1.0, 0.0), high=(1.0, 1.0)),
    action_space=ActionSpace.EE_DELTA_POSE,
    dt_s=0.05,
)
SPECS = {
    "state only": PLAIN,
    "privileged state": replace(PLAIN, environment_state=ArraySpec((4,))),
    "entries of size one": replace(
        PLAIN, state=ArraySpec((1,)), action=ArraySpec((1,)), environment_state=ArraySpec((1,))
    ),
    "one camera": replace(PLAIN, cameras={"wrist": image_spec(48, 64)}),
    "two cameras, odd sizes": replace(
        PLAIN, cameras={"wrist": image_spec(33, 47), "agentview": image_spec(40, 30)}
    ),
    "a rate that is not whole": replace(
        PLAIN, dt_s=1 / 12.5, cameras={"wrist": image_spec(32, 32)}
    ),
}
CAMERA = SPECS["one camera"]
LENGTHS = (5, 1, 12)


def picture(height: int, width: int, phase: float) -> NDArray[np.uint8]:
    """A smooth image, which video compression keeps."""
    y, x = np.mgrid[:height, :width]
    waves = [np.sin(x / 15 + phase), np.cos(y / 15 + phase), np.sin((x + y) / 30 + phase)]
    return (127 + 100 * np.stack(waves, axis=-1)).astype(np.uint8)


def episode(spec: PolicySpec, number: int, length: int) -> Episode:
    rng = np.random.default_rng(number)

    def draw(array: ArraySpec) -> NDArray[np.float32]:
        return np.stack([array.sample(rng) for _ in range(length)])

    return Episode(
        stamps_ns=1_700_000_000_000_000_123 + np.cumsum(rng.integers(1, 10**8, length)),
        state=draw(spec.state),
        actions=draw(spec.action),
        task=f"task number {number % 2}, with “quotes”",
        rewards=rng.normal(size=length).astype(np.float32),
        success=list(Success)[number % 3],
        environment_state=None if spec.environment_state is None else draw(spec.environment_state),
        images={
            name: np.stack([picture(*image.shape[:2], 0.3 * t + number) for t in range(length)])
            for name, image in spec.cameras.items()
        },
        metadata={"seed": number, "nested": {"quality": "expert", "noise": 0.1}},
    )


def episodes(spec: PolicySpec) -> list[Episode]:
    return [episode(spec, number, length) for number, length in enumerate(LENGTHS)]


def assert_same(expected: Episode, got: Episode) -> None:
    """Bit-equal but for images, which are compressed."""
    for name in ("stamps_ns", "state", "actions", "rewards", "environment_state"):
        a, b = getattr(expected, name), getattr(got, name)
        assert (a is None) == (b is None), name
        if a is not None:
            assert a.dtype == b.dtype
            np.testing.assert_array_equal(a, b, err_msg=name)
    for name in ("task", "success", "metadata"):
        assert getattr(expected, name) == getattr(got, name)
    assert set(expected.images) == set(got.images)
    for name, frames in expected.images.items():
        difference = np.abs(frames.astype(int) - got.images[name])
        assert got.images[name].dtype == np.uint8
        assert difference.mean() < 3, name


@pytest.fixture(params=FORMATS)
def fmt(request: pytest.FixtureRequest) -> EpisodeFormat:
    return FORMATS[request.param]


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_what_is_written_is_read(fmt: EpisodeFormat, spec: PolicySpec, tmp_path: Path) -> None:
    written = episodes(spec)
    assert fmt.write(tmp_path / "set", iter(written), spec) == len(LENGTHS)
    assert detect_format(tmp_path / "set") is fmt
    assert fmt.read_spec(tmp_path / "set") == spec
    read = list(fmt.read(tmp_path / "set"))
    assert len(read) == len(written)
    for expected, got in zip(written, read, strict=True):
        assert_same(expected, got)


def test_every_frame_is_the_right_one(fmt: EpisodeFormat, tmp_path: Path) -> None:
    """Each frame has a grey of its own, so a shift by one would be seen."""
    length = 30
    frames = np.empty((length, 32, 32, 3), np.uint8)
    frames[:] = (np.arange(length, dtype=np.uint8) * 8)[:, None, None, None]
    spec = replace(PLAIN, cameras={"wrist": image_spec(32, 32)})
    original = replace(episode(spec, 0, length), images={"wrist": frames})
    fmt.write(tmp_path / "set", [original], spec)
    (read,) = fmt.read(tmp_path / "set")
    np.testing.assert_allclose(
        read.images["wrist"].mean(axis=(1, 2, 3)), frames[:, 0, 0, 0], atol=3
    )


def test_only_the_cameras_asked_for_are_decoded(fmt: EpisodeFormat, tmp_path: Path) -> None:
    fmt.write(tmp_path / "set", episodes(CAMERA), CAMERA)
    assert all(not e.images for e in fmt.read(tmp_path / "set", cameras=()))
    with pytest.raises(UnknownNameError, match=r"no camera 'chest'.*valid: wrist"):
        list(fmt.read(tmp_path / "set", cameras=("chest",)))


def test_only_the_episodes_asked_for_are_read(fmt: EpisodeFormat, tmp_path: Path) -> None:
    written = episodes(CAMERA)
    fmt.write(tmp_path / "set", written, CAMERA)
    chosen = list(fmt.read(tmp_path / "set", episodes=(2, 0)))
    assert len(chosen) == 2
    for expected, got in zip((written[2], written[0]), chosen, strict=True):
        assert_same(expected, got)
    assert list(fmt.read(tmp_path / "set", episodes=())) == []
    for wrong in (-1, len(LENGTHS)):
        with pytest.raises(ConfigError, match=rf"no such episode; expected 0 \.\. 2; got {wrong}"):
            list(fmt.read(tmp_path / "set", episodes=(0, wrong)))


def test_appending_equals_writing_at_once(fmt: EpisodeFormat, tmp_path: Path) -> None:
    written = episodes(CAMERA)
    fmt.write(tmp_path / "whole", written, CAMERA)
    fmt.write(tmp_path / "parts", written[:1], CAMERA)
    fmt.write(tmp_path / "parts", written[1:], CAMERA, append=True)
    assert content(tmp_path / "parts") == content(tmp_path / "whole")


def test_an_existing_folder_is_not_touched(fmt: EpisodeFormat, tmp_path: Path) -> None:
    fmt.write(tmp_path / "set", episodes(PLAIN), PLAIN)
    before = content(tmp_path / "set")
    with pytest.raises(ConfigError, match="will not be overwritten"):
        fmt.write(tmp_path / "set", episodes(PLAIN), PLAIN)
    other = replace(PLAIN, action=ArraySpec((7,)))
    with pytest.raises(SpecError, match="another action"):
        fmt.write(tmp_path / "set", episodes(other), other, append=True)
    assert content(tmp_path / "set") == before


BAD = {
    "another size": (SpecError, lambda e: replace(e, state=e.state[:, :2])),
    "another type": (SpecError, lambda e: replace(e, state=e.state.astype(np.float64))),
    "a camera too many": (
        SpecError,
        lambda e: replace(e, images={"wrist": np.zeros((len(e), 8, 8, 3), np.uint8)}),
    ),
    "privileged state": (
        SpecError,
        lambda e: replace(e, environment_state=np.zeros((len(e), 2), np.float32)),
    ),
    "NaN": (DataError, lambda e: replace(e, actions=e.actions * np.float32(np.nan))),
    "metadata that is not JSON": (SpecError, lambda e: replace(e, metadata={"a": object()})),
}


@pytest.mark.parametrize(("error", "spoil"), BAD.values(), ids=BAD)
def test_a_bad_episode_is_refused_and_the_others_stay(
    fmt: EpisodeFormat, error: type[RobotPolicyError], spoil: object, tmp_path: Path
) -> None:
    good = episodes(PLAIN)
    with pytest.raises(error, match="episode 1"):
        fmt.write(tmp_path / "set", [good[0], spoil(good[2])], PLAIN)  # pyright: ignore
    (kept,) = fmt.read(tmp_path / "set")
    assert_same(good[0], kept)
    with pytest.raises(error):
        fmt.write(tmp_path / "none", [spoil(good[2])], PLAIN)  # pyright: ignore
    assert not (tmp_path / "none").exists()


def test_no_episode_is_no_dataset(fmt: EpisodeFormat, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no episode"):
        fmt.write(tmp_path / "set", [], PLAIN)
    assert not (tmp_path / "set").exists()


def test_ctrl_c_keeps_what_is_written(fmt: EpisodeFormat, tmp_path: Path) -> None:
    def stopped() -> Iterator[Episode]:
        yield episode(CAMERA, 0, 5)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fmt.write(tmp_path / "set", stopped(), CAMERA)
    fmt.write(tmp_path / "expected", [episode(CAMERA, 0, 5)], CAMERA)
    assert content(tmp_path / "set") == content(tmp_path / "expected")


KILLED = """
import contextlib, os, signal, sys
from pathlib import Path
with contextlib.suppress(ImportError):
    import pandas  # pyarrow imports it when it makes its first array, which takes a second
sys.path.insert(0, {folder!r})
from test_formats import CAMERA, episode
from robot_policy.data.formats.registry import FORMATS

fmt = FORMATS[sys.argv[1]]

def write(path, left):
    def kill_at_the_nth_file(event, arguments):
        # Every way in which a file comes into place or is opened for writing is a moment.
        nonlocal left
        if event in ("os.rename", "os.mkdir") or (event == "open" and "w" in str(arguments[1])):
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)

    pwrite, writes = os.pwrite, 0

    def killed_at_the_nth_write(*arguments):
        # A file that is written to again and again has its moments, too; every fourth is tried.
        nonlocal writes
        writes += 1
        if writes % 4 == 0:
            kill_at_the_nth_file("os.rename", ())
        return pwrite(*arguments)

    def episodes():
        for number in range(3):
            if number == 2:
                sys.addaudithook(kill_at_the_nth_file)
                os.pwrite = killed_at_the_nth_write
            yield episode(CAMERA, number, 6)

    fmt.write(path, episodes(), CAMERA)

# A process per moment, until one of them finishes. Forked, because importing takes seconds.
status, moment = None, 0
while status != 0:
    pid = os.fork()
    if pid == 0:
        write(Path(sys.argv[2], f"{{moment:03d}}"), moment)
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert status in (0, -signal.SIGKILL), status
    moment += 1
"""


@pytest.mark.parametrize("name", FORMATS)
def test_a_kill_loses_the_current_episode_at_most(name: str, tmp_path: Path) -> None:
    """Killed by SIGKILL before every single file operation of the third episode in turn."""
    fmt: EpisodeFormat = FORMATS[name]
    script = KILLED.format(folder=str(Path(__file__).parent))
    command = [sys.executable, "-W", "ignore", "-c", script, name, str(tmp_path / "killed")]
    subprocess.run(command, timeout=120, check=True)
    fmt.write(tmp_path / "whole", [episode(CAMERA, n, 6) for n in range(4)], CAMERA)
    whole = content(tmp_path / "whole")
    kept: list[int] = []
    for path in sorted(p for p in (tmp_path / "killed").iterdir() if p.name[0] != "."):
        read = list(fmt.read(path))
        kept.append(len(read))
        for number, got in enumerate(read):
            assert_same(episode(CAMERA, number, 6), got)
        rest = [episode(CAMERA, number, 6) for number in range(len(read), 4)]
        fmt.write(path, rest, CAMERA, append=True)
        assert content(path) == whole, path
    assert len(kept) > 3
    assert kept == sorted(kept)
    assert set(kept) == {2, 3}


# Elsewhere it is data, what is told of it, and a video, of every episode.
FILES_THAT_MATTER = {"robomimic_hdf5": 1, "rosbag2_mcap": 1 + len(LENGTHS)}


@pytest.mark.parametrize("name", FORMATS)
def test_damage_is_named_in_one_line(name: str, tmp_path: Path) -> None:
    """Each file in turn is truncated and removed: it opens as before, or says what is wrong."""
    fmt: EpisodeFormat = FORMATS[name]
    path = tmp_path / "set"
    fmt.write(path, episodes(CAMERA), CAMERA)
    messages: list[str] = []
    for file in files_of(path):
        data = file.read_bytes()
        for damaged in (data[: len(data) // 2], b"", None):
            file.unlink() if damaged is None else file.write_bytes(damaged)
            try:
                store = EpisodeStore.open(path, cameras=("wrist",))
                assert len(store.episodes) == len(LENGTHS)
            except DataError as error:
                messages.append(str(error))
            file.write_bytes(data)
    assert len(messages) >= 3 * FILES_THAT_MATTER.get(name, 3 * len(LENGTHS))
    assert [m for m in messages if "\n" in m or str(path) not in m] == []


def files_of(path: Path) -> list[Path]:
    """Files of a dataset, which may be a single one; also what a writer leaves beside that."""
    if path.is_dir():
        return sorted(f for f in path.rglob("*") if f.is_file())
    return sorted(f for f in path.parent.glob(f"*{path.name}*") if f.is_file())


def content(path: Path) -> dict[str, bytes]:
    return {
        str(f.relative_to(path.parent)).replace(path.name, "", 1): f.read_bytes()
        for f in files_of(path)
    }


def test_the_registry_names_what_is_no_dataset(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such dataset"):
        detect_format(tmp_path / "nothing")
    (tmp_path / "file.txt").write_text("hello")
    with pytest.raises(DataError, match="not a dataset of a known format"):
        detect_format(tmp_path)
    assert os.listdir(tmp_path) == ["file.txt"]
