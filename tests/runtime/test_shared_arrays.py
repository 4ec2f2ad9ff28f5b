"""Objects with arrays to another process, which sends back what it got."""

import errno
import multiprocessing
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from robot_policy.runtime.shared_arrays import ArraySender

# What the other process runs it must be able to import, whose path has this folder.
sys.path.insert(0, str(Path(__file__).parent))

import array_echo  # pyright: ignore[reportMissingImports]


class Echo:
    """Another process, and the way there and back."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=array_echo.echo, args=(theirs,), daemon=True)
        self.process.start()
        theirs.close()
        assert self.process.pid is not None
        self._sender = ArraySender(self.connection, self.process.pid)

    def __call__(self, value: object, arrays: dict[str, np.ndarray]) -> Any:
        self._sender.send(value, arrays)
        return self.connection.recv()

    def close(self) -> None:
        self.connection.close()
        self.process.join(10.0)


@pytest.fixture(scope="module")
def echo() -> Iterator[Echo]:
    made = Echo()
    made(0, {"first": np.ones(3)})
    yield made
    made.close()
    assert made.process.exitcode == 0


@settings(max_examples=50, deadline=None)
@given(
    values=st.lists(
        arrays(
            st.sampled_from([np.uint8, np.float32, np.bool_, np.int64]),
            st.lists(st.integers(0, 5), max_size=4).map(tuple),
        ),
        max_size=6,
    )
)
def test_what_comes_is_what_was_sent(echo: Echo, values: list[np.ndarray]) -> None:
    sent = {str(number): array for number, array in enumerate(values)}
    (first, kept), (words, came) = echo(("a", 1), sent)
    assert first == 0
    np.testing.assert_array_equal(kept["first"], np.ones(3), err_msg="what came before is its own")
    assert words == ("a", 1)
    assert came.keys() == sent.keys()
    for name, array in sent.items():
        assert (came[name].dtype, came[name].shape) == (array.dtype, array.shape)
        assert came[name].tobytes() == array.tobytes()


def test_there_is_room_for_more_whenever_more_comes(echo: Echo) -> None:
    rng = np.random.default_rng(0)
    for side in (16, 480, 16, 700):
        picture = rng.integers(0, 256, (2, side, side, 3), dtype=np.uint8)
        turned = picture.transpose(0, 2, 1, 3)  # not in one piece
        _, (_, came) = echo(None, {"picture": picture, "turned": turned})
        np.testing.assert_array_equal(came["picture"], picture)
        np.testing.assert_array_equal(came["turned"], turned)


def test_without_room_in_memory_they_come_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    made = Echo()
    small, large = np.arange(3), np.arange(1000)
    made(0, {"numbers": small})
    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_fallocate", full)
        np.testing.assert_array_equal(made(0, {"numbers": large})[1][1]["numbers"], large)
    np.testing.assert_array_equal(made(0, {"numbers": small})[1][1]["numbers"], small)
    np.testing.assert_array_equal(made(0, {"numbers": large})[1][1]["numbers"], large)
    made.close()


def test_somebody_who_is_gone_is_told_of() -> None:
    made = Echo()
    made.process.kill()
    made.process.join()
    with pytest.raises((BrokenPipeError, ConnectionResetError)):
        made(0, {"large": np.zeros(1 << 20)})
    made.connection.close()
