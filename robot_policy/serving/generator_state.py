"""A random generator as a message, so that a server draws what the client would have drawn."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from robot_policy.serving.wire import WireError

_KIND = "PCG64"
_WORD_BYTES = 16


def to_message(generator: np.random.Generator) -> dict[str, Any]:
    """Returns the state of a generator.

    Raises:
        WireError: If its kind is not numpy's default.
    """
    state: Mapping[str, Any] = generator.bit_generator.state
    if state["bit_generator"] != _KIND:
        raise WireError("another generator", expected=_KIND, got=state["bit_generator"])
    words = state["state"]
    return {
        # 128 bits each, more than msgpack's integers have.
        "state": int(words["state"]).to_bytes(_WORD_BYTES, "little"),
        "inc": int(words["inc"]).to_bytes(_WORD_BYTES, "little"),
        # Half of the last word, kept back by draws of 32 bits.
        "half": int(state["uinteger"]) if state["has_uint32"] else None,
    }


def from_message(data: object, *, where: str) -> np.random.Generator:
    """Inverse of `to_message`.

    Raises:
        WireError: If it is no such state.
    """
    if not isinstance(data, Mapping) or set(data) != {"state", "inc", "half"}:
        raise WireError("no generator", where=where, expected="state, inc, half")
    words = {name: data[name] for name in ("state", "inc")}
    if not all(isinstance(w, bytes) and len(w) == _WORD_BYTES for w in words.values()):
        raise WireError("no generator", where=where, expected="state and inc of 16 bytes")
    half = data["half"]
    if half is not None and not (type(half) is int and 0 <= half < 2**32):
        raise WireError("no generator", where=where, expected="half of 32 bits or nothing")
    state, inc = (int.from_bytes(word, "little") for word in words.values())
    if inc % 2 == 0:
        raise WireError("no generator", where=where, expected="an odd inc")
    # Seeded by the state too, so that children it may have to spawn are determined as well.
    bits = np.random.PCG64(np.random.SeedSequence([state, inc]))
    bits.state = {
        "bit_generator": _KIND,
        "state": {"state": state, "inc": inc},
        "has_uint32": int(half is not None),
        "uinteger": half or 0,
    }
    return np.random.Generator(bits)


def adopt(generator: np.random.Generator, other: np.random.Generator) -> None:
    """Puts `generator` into the state of `other`."""
    generator.bit_generator.state = other.bit_generator.state
