"""What is left of an episode whose commit is interrupted, or for which the disk has no room."""

import contextlib
import errno
from pathlib import Path
from typing import Any

import clean_recordings
import pytest
from rich_recordings import RICH, recordings

from robot_policy.data.formats import lerobot_layout
from robot_policy.data.formats.registry import FORMATS, detect_format
from robot_policy.data.validation.finding import Severity
from robot_policy.data.validation.validator import validate

NAMES = ("lerobot_v3", "lerobot_v21")


@pytest.mark.parametrize("name", NAMES)
def test_an_episode_that_is_committed_stays(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C right after the commit does not take the episode's files away."""
    path = tmp_path / "set"
    writer = FORMATS[name].create(path, RICH)
    first, second, third = recordings()
    writer.add(first)
    replace = Path.replace

    def interrupted(self: Path, target: Path) -> Path:
        moved = replace(self, target)
        if target == path / lerobot_layout.INFO:
            raise KeyboardInterrupt
        return moved

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", interrupted)
        with pytest.raises(KeyboardInterrupt):
            writer.add(second)
    writer.close()
    reader = detect_format(path).open(path)
    assert len(reader) == 2
    assert [len(reader.recording(n)) for n in range(2)] == [len(first), len(second)]
    appended = FORMATS[name].append(path, RICH)
    appended.add(third)
    appended.close()
    assert len(detect_format(path).open(path)) == 3


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("room", range(0, 12, 2))
def test_a_full_disk_costs_the_episode_alone(
    name: str, room: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever file it is that finds no room; nobody closes the writer, as after a kill."""
    path = tmp_path / "set"
    writer = FORMATS[name].create(path, clean_recordings.SEEING)
    first, second, _ = clean_recordings.recordings()
    writer.add(first)
    left, write_text, open_file = [room], Path.write_text, Path.open

    def take() -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, "No space left on device")

    def text(self: Path, *given: Any, **options: Any) -> int:
        take()
        return write_text(self, *given, **options)

    def opened(self: Path, mode: str = "r", *given: Any, **options: Any) -> Any:
        if "a" in mode or "w" in mode:
            take()
        return open_file(self, mode, *given, **options)

    replace = Path.replace

    def moved(self: Path, target: Path) -> Path:
        if target.suffix in (".parquet", ".mp4"):
            take()
        return replace(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", text)
        patch.setattr(Path, "open", opened)
        if name == "lerobot_v21":  # which moves files one by one
            patch.setattr(Path, "replace", moved)
        try:
            writer.add(second)
        except OSError:
            kept = 1
        else:
            kept = 2
    reader = detect_format(path).open(path)
    assert len(reader) == kept
    assert [f for f in validate(path).findings if f.fault.severity is Severity.ERROR] == []


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("moves", range(1, 6))
def test_a_kill_between_two_files_leaves_a_set_that_opens_and_validates(
    name: str, moves: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "set"
    writer = FORMATS[name].create(path, clean_recordings.SEEING)
    first, second, third = clean_recordings.recordings()
    writer.add(first)
    replace, left = Path.replace, [moves]

    def killed(self: Path, target: Path) -> Path:
        moved = replace(self, target)
        left[0] -= path / "meta" in target.parents or path / "data" in target.parents
        if not left[0]:
            raise KeyboardInterrupt
        return moved

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", killed)
        with contextlib.suppress(KeyboardInterrupt):
            writer.add(second)
    assert len(detect_format(path).open(path)) in (1, 2)
    assert [f for f in validate(path).findings if f.fault.severity is Severity.ERROR] == []
    again = FORMATS[name].append(path, clean_recordings.SEEING)
    again.add(third)
    again.close()
    assert validate(path).findings == []
