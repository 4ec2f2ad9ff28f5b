"""A change in place that is interrupted anywhere has not happened."""

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robot_policy.data.formats.undo_file import ChangingFile, changing, old_file, restore, undo_path

OLD = bytes(range(256)) * 4
place = st.integers(0, 1500)
write = st.tuples(st.just("write"), place, st.binary(min_size=1, max_size=400))
cut = st.tuples(st.just("cut"), place, st.just(b""))


class Killed(BaseException):
    """What a kill does to a program: nothing after it is executed."""


def change(file: ChangingFile, steps: list[tuple[str, int, bytes]]) -> None:
    for kind, start, data in steps:
        if kind == "write":
            file.seek(start)
            file.write(data)
        else:
            file.truncate(start)


@settings(max_examples=150, deadline=None)
@given(steps=st.lists(st.one_of(write, cut), min_size=1, max_size=6), moment=st.integers(0, 20))
def test_a_kill_at_any_write_leaves_the_old_file(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int, bytes]], moment: int
) -> None:
    path = tmp_path_factory.mktemp("undo") / "file"
    path.write_bytes(OLD)
    left, pwrite = moment, os.pwrite

    def killed(file: int, data: bytes, offset: int) -> int:
        nonlocal left
        left -= 1
        if left < 0:
            pwrite(file, bytes(data)[: len(data) // 2], offset)  # a kill may come in the middle
            raise Killed
        return pwrite(file, data, offset)

    file = None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "pwrite", killed)
        try:
            file = ChangingFile(path)
            change(file, steps)
        except Killed:
            pass
    before = old_file(path)
    if before is not None:
        with before:
            assert before.readall() == OLD
            before.seek(100)
            assert before.read(50) == OLD[100:150]
    restore(path)
    assert path.read_bytes() == OLD
    assert not undo_path(path).exists()
    if file is not None:
        file.close()


@settings(max_examples=50, deadline=None)
@given(steps=st.lists(st.one_of(write, cut), max_size=6))
def test_a_change_that_ends_well_counts(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int, bytes]]
) -> None:
    folder = tmp_path_factory.mktemp("undo")
    path, plain = folder / "file", folder / "plain"
    for file in (path, plain):
        file.write_bytes(OLD)
    with changing(path) as file:
        change(file, steps)
    with plain.open("r+b") as expected:
        for kind, start, data in steps:
            if kind == "write":
                expected.seek(start)
                expected.write(data)
            else:
                expected.truncate(start)
    assert path.read_bytes() == plain.read_bytes()
    assert old_file(path) is None


def test_an_exception_undoes_the_change(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(OLD)

    def fail() -> None:
        with changing(path) as file:
            file.write(b"new")
            assert file.seek(0, os.SEEK_END) == len(OLD)
            file.write(b"more")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert path.read_bytes() == OLD
    assert sorted(tmp_path.iterdir()) == [path]
