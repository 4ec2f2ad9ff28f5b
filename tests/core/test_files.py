"""A file is written whole or not at all."""

from pathlib import Path

import pytest

from robot_policy.core.errors import ConfigError, DataError
from robot_policy.core.files import read_json, replacing, require_new_folder, write_json


def test_json_comes_back(tmp_path: Path) -> None:
    write_json(tmp_path / "new" / "a.json", {"x": [1, 2.5]})
    assert read_json(tmp_path / "new" / "a.json") == {"x": [1, 2.5]}


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fail() -> None:
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError("disk")

    with pytest.raises(RuntimeError):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_nan_is_not_json(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "a.json", {"x": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_unreadable_json_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(DataError, match=r"a\.json: not a readable JSON"):
        read_json(tmp_path / "a.json")
    with pytest.raises(DataError, match="no such file"):
        read_json(tmp_path / "b.json")


def test_only_empty_folders_may_be_filled(tmp_path: Path) -> None:
    require_new_folder(tmp_path / "new")
    (tmp_path / "empty").mkdir()
    require_new_folder(tmp_path / "empty")
    (tmp_path / "empty" / "file").touch()
    with pytest.raises(ConfigError, match="will not be overwritten"):
        require_new_folder(tmp_path / "empty")
