"""Messages that go there and back, and bytes that nobody should have sent."""

from contextlib import suppress
from typing import Any

import msgpack
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from robot_policy.serving import wire
from robot_policy.serving.wire import DTYPES, WireError, decode, encode

SCALARS = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(max_size=9)
)
ARRAYS = hnp.arrays(
    st.sampled_from([np.dtype(name) for name in DTYPES]),
    hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=3),
)
MESSAGES = st.recursive(
    SCALARS | st.binary(max_size=9) | ARRAYS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


def same(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, dict):
        return set(a) == set(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    return repr(a) == repr(b)


@settings(max_examples=50)
@given(MESSAGES)
def test_a_message_comes_back(message: Any) -> None:
    assert same(decode(encode(message)), message)


def test_arrays_are_sent_as_openpi_sends_them() -> None:
    raw = msgpack.unpackb(encode(np.arange(6, dtype=np.int16).reshape(2, 3)))
    assert raw[b"__ndarray__"] is True
    assert raw[b"dtype"] == "<i2"
    assert raw[b"shape"] == [2, 3]
    assert raw[b"data"] == np.arange(6, dtype="<i2").tobytes()
    scalar = msgpack.unpackb(encode(np.float32(0.5)))
    assert scalar == {b"__npgeneric__": True, b"data": 0.5, b"dtype": "<f4"}
    assert decode(encode(np.float32(0.5))) == np.float32(0.5)


def test_memory_of_any_order_is_sent() -> None:
    array = np.arange(6.0).reshape(2, 3).T
    np.testing.assert_array_equal(decode(encode(array)), array)
    big = np.arange(3, dtype=">f4")
    np.testing.assert_array_equal(decode(encode(big)), big)


@pytest.mark.parametrize(
    "message", [np.array([None]), np.array(["a"]), np.array([1j]), object(), {1j: 0}, {"a": {1, 2}}]
)
def test_what_has_no_form_is_not_sent(message: Any) -> None:
    with pytest.raises(WireError, match="cannot be sent"):
        encode(message)


def array(**changes: Any) -> dict[bytes, Any]:
    entries: dict[str, Any] = {"data": bytes(8), "dtype": "<f4", "shape": [2]}
    entries |= changes
    return {b"__ndarray__": True, **{k.encode(): v for k, v in entries.items() if v is not None}}


@pytest.mark.parametrize(
    ("entries", "line"),
    [
        (array(dtype="|O8"), "another element type; got |O8"),
        (array(dtype="O"), "another element type"),
        (array(dtype=">f4"), "another element type"),
        (array(dtype="<U2"), "another element type"),
        (array(dtype=[["a", "<f4"]]), "another element type"),
        (array(dtype=None), "another element type; got None"),
        (array(data=None), "no bytes"),
        (array(data="12345678"), "no bytes"),
        (array(shape=[3]), "other bytes than its shape has; expected 12; got 8"),
        (array(shape=[-1]), "no shape"),
        (array(shape=[2.0]), "no shape"),
        (array(shape=[True, 2]), "no shape"),
        (array(shape=[2**40, 2**40]), "no shape"),
        (array(shape=[2**30, 2**30, 2**30]), "other bytes than its shape has"),
        (array(shape=[2**30, 0, 2**30]), "other bytes than its shape has; expected 0"),
        (array(shape=[1] * 9), "no shape"),
        (array(shape=None), "no shape"),
        (array(dtype="|b1", data=b"\x00\x02"), "no booleans"),
        ({b"__npgeneric__": True, b"data": 300, b"dtype": "|u1"}, "no uint8"),
        ({b"__npgeneric__": True, b"data": [1], b"dtype": "<f4"}, "no number"),
        ({b"__npgeneric__": True, b"data": 1.0, b"dtype": "M8[s]"}, "another element type"),
    ],
)
def test_wrong_arrays_are_refused(entries: dict[bytes, Any], line: str) -> None:
    with pytest.raises(WireError) as caught:
        decode(msgpack.packb({"x": entries}))
    assert line in str(caught.value)


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"", "not msgpack"),
        (b"\x93\x01", "incomplete"),
        (b"\xc0\xc0", "extra data"),
        (b"\xc1", "not msgpack"),
        (b"\x91" * 100_000, "not msgpack"),
        (b"\x81\xa1a" * 100_000, "not msgpack"),
        (b"\xdd\xff\xff\xff\xff", "not msgpack"),
        (b"\xc6\xff\xff\xff\xff", "incomplete"),
        (b"\xa2\xff\xff", "not msgpack"),
        (b"\x81\x01\x01", "not msgpack"),
        (b"\xd4\x05\x00", "not msgpack"),
        (b"\xd7\xff" + bytes(8), "not msgpack"),
        (msgpack.packb([[[]] * 1000] * 3), "too many maps and lists"),
        (msgpack.packb("x" * 70_000), "not msgpack"),
    ],
)
def test_what_is_no_message_is_refused(data: bytes, line: str) -> None:
    with pytest.raises(WireError) as caught:
        decode(data)
    assert line in str(caught.value)


def test_an_array_cannot_be_written_through() -> None:
    with pytest.raises(ValueError, match="read-only"):
        wire.decode(encode(np.zeros(3)))[0] = 1.0


@given(st.binary(max_size=64))
def test_any_bytes_are_a_message_or_refused(data: bytes) -> None:
    with suppress(WireError):
        decode(data)
