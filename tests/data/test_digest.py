"""A digest is of names and content, and of nothing else."""

import os
import shutil
import time
from pathlib import Path

import pytest

from robot_policy.core.errors import DataError
from robot_policy.data import digest as digest_module
from robot_policy.data.digest import content_digest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "set"
    for name, text in (("a.txt", "one"), ("sub/b.txt", "two"), ("sub/c.txt", "")):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def age(root: Path, seconds: int) -> None:
    """Sets the clock ahead, because the time of a change of a file cannot be set back."""
    for path in root.rglob("*"):
        then = time.time() - seconds
        os.utime(path, (then, then))


def test_only_names_and_content_count(folder: Path, tmp_path: Path) -> None:
    before = content_digest(folder)
    assert before.startswith("blake2b:")
    moved = Path(shutil.copytree(folder, tmp_path / "elsewhere"))
    age(moved, 1000)
    assert content_digest(moved) == before
    (moved / ".partial").mkdir()
    (moved / ".partial/half.mp4").write_text("half")
    assert content_digest(moved) == before


@pytest.mark.parametrize("change", ["content", "name", "added", "removed", "moved content"])
def test_every_change_shows(folder: Path, change: str) -> None:
    before = content_digest(folder)
    a, b = folder / "a.txt", folder / "sub/b.txt"
    if change == "content":
        a.write_text("onE")
    elif change == "name":
        a.rename(folder / "A.txt")
    elif change == "added":
        (folder / "empty").touch()
    elif change == "removed":
        (folder / "sub/c.txt").unlink()
    else:
        one, two = a.read_text(), b.read_text()
        a.write_text(two)
        b.write_text(one)
    assert content_digest(folder) != before


def test_a_single_file_has_one_whatever_its_name(tmp_path: Path) -> None:
    one, other = tmp_path / "one.hdf5", tmp_path / "other.hdf5"
    one.write_text("data")
    other.write_text("data")
    assert content_digest(one) == content_digest(other)
    other.write_text("dato")
    assert content_digest(one) != content_digest(other)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that were read."""
    names: list[str] = []
    original = digest_module._file_digest

    def counted(file: Path) -> str:
        names.append(file.name)
        return original(file)

    monkeypatch.setattr(digest_module, "_file_digest", counted)
    return names


def test_what_looks_the_same_is_not_read_again(
    folder: Path, tmp_path: Path, read: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = tmp_path / "memory.json"
    monkeypatch.setattr(digest_module, "_SETTLED_NS", -(10**9))  # as if the files were old
    before = content_digest(folder, memory=memory)
    assert len(read) == 3
    assert content_digest(folder, memory=memory) == before
    assert len(read) == 3
    (folder / "a.txt").write_text("onE")
    assert content_digest(folder, memory=memory) != before
    assert read[3:] == ["a.txt"]
    memory.write_text("[1, 2")
    (folder / "a.txt").write_text("one")
    assert content_digest(folder, memory=memory) == before


def test_files_that_are_just_being_written_are_not_remembered(
    folder: Path, tmp_path: Path, read: list[str]
) -> None:
    """A second change within the resolution of the file times would go unnoticed."""
    for _ in range(2):
        content_digest(folder, memory=tmp_path / "memory.json")
    assert len(read) == 6


def test_links_that_lead_in_circles_end(folder: Path) -> None:
    before = content_digest(folder)
    (folder / "sub/back").symlink_to(folder)
    assert content_digest(folder) == before


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nothing: no such dataset"):
        content_digest(tmp_path / "nothing")
