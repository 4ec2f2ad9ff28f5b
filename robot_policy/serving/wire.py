"""Messages as bytes: msgpack with numpy arrays as openpi writes them, read without trust.

An array is a map with the keys ``__ndarray__``, ``data``, ``dtype`` and ``shape``, a numpy scalar
one with ``__npgeneric__``, ``data`` and ``dtype``; all keys are bytes. Nothing else has a meaning
of its own, so reading a message cannot run anything, and what it can allocate is bounded by its
size.
"""

import math
from collections.abc import Mapping
from typing import Any, cast

import msgpack
import numpy as np
from numpy.typing import NDArray

from robot_policy.core.errors import RobotPolicyError

DTYPES = ("|b1", "|i1", "|u1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8", "<f2", "<f4", "<f8")
"""What an array may hold: numbers and booleans, little-endian."""

_MOST_DIMENSIONS = 8
_LONGEST_ARRAY = 1024
_LONGEST_MAP = 256
_LONGEST_TEXT = 65_536
_MOST_CONTAINERS = 2048
"""Maps and lists in one message: each is a byte on the wire and many in memory."""


class WireError(RobotPolicyError):
    """Bytes that are no message of this protocol."""


def encode(message: Any) -> bytes:
    """Returns the bytes of maps, lists, texts, numbers, booleans, None and numpy arrays.

    Raises:
        WireError: If something else is in it.
    """
    try:
        return cast(bytes, msgpack.packb(message, default=_encode_array))
    except (TypeError, ValueError, OverflowError) as error:
        raise WireError("cannot be sent", where="message", got=error) from error


def decode(data: bytes) -> Any:
    """Inverse of `encode`; arrays share the memory of `data` and cannot be written to.

    Raises:
        WireError: If the bytes are not msgpack, hold another kind of object, an array whose size
            is not that of its shape, or more maps and lists than any message has.
    """
    containers = _Counter()
    try:
        return msgpack.unpackb(
            data,
            object_hook=containers.on_map,
            list_hook=containers.on_list,
            ext_hook=_refuse_extension,
            strict_map_key=True,
            max_array_len=_LONGEST_ARRAY,
            max_map_len=_LONGEST_MAP,
            max_str_len=_LONGEST_TEXT,
            max_ext_len=0,
        )
    except WireError:
        raise
    except (ValueError, TypeError, RecursionError, msgpack.UnpackException) as error:
        raise WireError("not msgpack", where="message", got=_reason(error)) from error


class _Counter:
    """Turns maps into arrays where they are one, and counts."""

    def __init__(self) -> None:
        self._seen = 0

    def on_map(self, entries: dict[Any, Any]) -> Any:
        self._count()
        if b"__ndarray__" in entries:
            return _decode_array(entries)
        if b"__npgeneric__" in entries:
            return _decode_scalar(entries)
        return entries

    def on_list(self, entries: list[Any]) -> list[Any]:
        self._count()
        return entries

    def _count(self) -> None:
        self._seen += 1
        if self._seen > _MOST_CONTAINERS:
            raise WireError("too many maps and lists", where="message", expected=_MOST_CONTAINERS)


def _encode_array(value: object) -> object:
    if isinstance(value, np.generic):
        return {
            b"__npgeneric__": True,
            b"data": value.item(),
            b"dtype": _sendable(value.dtype).str,
        }
    if isinstance(value, np.ndarray):
        array = np.ascontiguousarray(value, dtype=_sendable(value.dtype))
        return {
            b"__ndarray__": True,
            # A view of the memory; an array without elements has none.
            b"data": memoryview(array).cast("B") if array.size else b"",
            b"dtype": array.dtype.str,
            b"shape": list(value.shape),
        }
    raise TypeError(f"a {type(value).__name__}")


def _sendable(dtype: np.dtype[Any]) -> np.dtype[Any]:
    little = dtype.newbyteorder("<")
    if little.str not in DTYPES:
        raise TypeError(f"an array of {dtype}")
    return little


def _decode_array(entries: Mapping[Any, Any]) -> NDArray[Any]:
    dtype = _dtype(entries)
    data, shape = entries.get(b"data"), entries.get(b"shape")
    if not isinstance(data, bytes):
        raise WireError("no bytes", where="array", expected="bytes", got=type(data).__name__)
    if not isinstance(shape, list) or len(shape) > _MOST_DIMENSIONS or not all(map(_size, shape)):
        raise WireError(
            "no shape",
            where="array",
            expected=f"at most {_MOST_DIMENSIONS} sizes",
            got=_short(shape),
        )
    if math.prod(shape) * dtype.itemsize != len(data):
        raise WireError(
            "other bytes than its shape has",
            where=f"array {dtype.name} {_short(shape)}",
            expected=math.prod(shape) * dtype.itemsize,
            got=len(data),
        )
    array = np.frombuffer(data, dtype).reshape(shape)
    if dtype.kind == "b" and array.view(np.uint8).max(initial=0) > 1:
        # Other bytes than 0 and 1 compare as neither.
        raise WireError("no booleans", where=f"array {_short(shape)}")
    return array


def _decode_scalar(entries: Mapping[Any, Any]) -> np.generic:
    dtype, value = _dtype(entries), entries.get(b"data")
    if not isinstance(value, bool | int | float):
        raise WireError("no number", where="scalar", got=type(value).__name__)
    try:
        return dtype.type(value)
    except (OverflowError, ValueError) as error:
        raise WireError(f"no {dtype.name}", where="scalar", got=error) from error


def _dtype(entries: Mapping[Any, Any]) -> np.dtype[Any]:
    name = entries.get(b"dtype")
    if isinstance(name, bytes):
        name = name.decode("ascii", errors="replace")
    if not isinstance(name, str) or name not in DTYPES:
        raise WireError("another element type", where="array", got=_short(name), valid=DTYPES)
    return np.dtype(name)


def _size(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**31


def _refuse_extension(code: int, data: bytes) -> Any:
    raise WireError("an extension type", where="message", got=f"type {code}, {len(data)} bytes")


def _reason(error: Exception) -> str:
    return _short(str(error) or type(error).__name__)


def _short(value: object) -> str:
    text = str(value) if isinstance(value, str) else repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
