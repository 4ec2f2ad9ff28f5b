"""What a client of this project asks: windows, N and the generators to draw from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.errors import SpecError
from robot_policy.core.observation import (
    ACTION_PREFIX,
    ACTION_PREFIX_WEIGHTS,
    ENVIRONMENT_STATE,
    STATE,
    TASK,
    Windows,
    image_key,
)
from robot_policy.core.specs import ArraySpec, PolicySpec
from robot_policy.serving import generator_state
from robot_policy.serving.wire import WireError

REQUEST = "request"
SAMPLE = "sample"
"""Value of the key `REQUEST` that tells these requests from openpi's, which have no such key."""

_PAST, _VALID, _PAST_VALID = "past", "valid", "past_valid"
_OPTIONAL = frozenset({ACTION_PREFIX, ACTION_PREFIX_WEIGHTS})
_NUM_SAMPLES, _GENERATORS, _RETURN_GENERATORS = "num_samples", "generators", "return_generators"


@dataclass(frozen=True, slots=True)
class Limits:
    """What a request may ask for at most: B windows of N candidates each."""

    rows: int = 64
    num_samples: int = 256


@dataclass(frozen=True, slots=True)
class SampleRequest:
    """One question.

    Attributes:
        windows: Of B robots.
        num_samples: N.
        generators: B, one per row.
        return_generators: Whether the answer has to tell their states after the draws.
    """

    windows: Windows
    num_samples: int
    generators: tuple[np.random.Generator, ...]
    return_generators: bool = False

    def to_message(self) -> dict[str, Any]:
        """Returns what `wire.encode` takes."""
        windows = self.windows
        message: dict[str, Any] = {
            REQUEST: SAMPLE,
            STATE: windows.state,
            _VALID: windows.valid,
            _PAST: windows.past,
            _PAST_VALID: windows.past_valid,
            TASK: list(windows.instructions),
            _NUM_SAMPLES: self.num_samples,
            _GENERATORS: [generator_state.to_message(g) for g in self.generators],
            _RETURN_GENERATORS: self.return_generators,
        }
        message |= {image_key(name): images for name, images in windows.images.items()}
        if windows.environment_state is not None:
            message[ENVIRONMENT_STATE] = windows.environment_state
        if windows.prefix is not None:
            message[ACTION_PREFIX] = windows.prefix
        if windows.prefix_weights is not None:
            message[ACTION_PREFIX_WEIGHTS] = windows.prefix_weights
        return message

    @classmethod
    def from_message(cls, message: Mapping[str, Any], spec: PolicySpec, limits: Limits) -> Self:
        """Inverse of `to_message`, checked against what the policy needs.

        Raises:
            WireError: If an entry is missing, unknown or of another kind, or too much is asked.
            SpecError: If an array does not fit the policy.
        """
        name = message.get(REQUEST)
        if not isinstance(name, str) or name != SAMPLE:
            raise WireError("unknown", where=REQUEST, got=f"{name!r:.40}", valid=[SAMPLE])
        _check_keys(message, {key for key, _ in _entries(spec)})
        rows = _rows(message, limits)
        arrays = {key: _array(message, key, s, rows) for key, s in _entries(spec) if key in message}
        past_valid, valid = arrays[_PAST_VALID], arrays[_VALID]
        prefix = _prefix(message, spec, rows)
        windows = Windows(
            state=arrays[STATE],
            past=arrays[_PAST],
            valid=valid,
            past_valid=past_valid,
            environment_state=arrays.get(ENVIRONMENT_STATE),
            images={name: arrays[image_key(name)] for name in spec.cameras},
            instructions=_instructions(message, rows),
            prefix=prefix,
            prefix_weights=_prefix_weights(message, prefix),
        )
        generators = message[_GENERATORS]
        if not isinstance(generators, list) or len(generators) != rows:
            raise WireError("not one generator per row", where=_GENERATORS, expected=rows)
        return cls(
            windows,
            _integer(message, _NUM_SAMPLES, low=1, high=limits.num_samples),
            tuple(
                generator_state.from_message(g, where=f"{_GENERATORS}[{i}]")
                for i, g in enumerate(generators)
            ),
            return_generators=_boolean(message, _RETURN_GENERATORS),
        )


def _entries(spec: PolicySpec) -> list[tuple[str, ArraySpec]]:
    """Keys of the arrays a request must have, and what one row of each looks like."""
    T, P = spec.history, spec.past
    entries = [
        (STATE, ArraySpec((T, *spec.state.shape))),
        (_VALID, ArraySpec((T,), dtype="bool")),
        (_PAST, ArraySpec((P, *spec.action.shape))),
        (_PAST_VALID, ArraySpec((P,), dtype="bool")),
    ]
    if spec.environment_state is not None:
        entries.append((ENVIRONMENT_STATE, ArraySpec((T, *spec.environment_state.shape))))
    for name, image in spec.cameras.items():
        entries.append((image_key(name), ArraySpec((T, *image.shape), dtype=image.dtype)))
    return entries


def _check_keys(message: Mapping[str, Any], arrays: set[str]) -> None:
    required = arrays | {REQUEST, TASK, _NUM_SAMPLES, _GENERATORS, _RETURN_GENERATORS}
    missing = sorted(required - set(message))
    if missing:
        raise WireError(f"{missing[0]!r} is missing", where="request", expected=sorted(required))
    unknown = [key for key in message if key not in required | _OPTIONAL]
    if unknown:
        raise WireError(
            f"unknown entry {unknown[0]!r:.80}", where="request", valid=sorted(required)
        )


def _rows(message: Mapping[str, Any], limits: Limits) -> int:
    state = message[STATE]
    rows = len(state) if isinstance(state, np.ndarray) and state.ndim else 0
    if not 1 <= rows <= limits.rows:
        raise WireError("number of windows", where=STATE, expected=f"1 .. {limits.rows}", got=rows)
    return rows


def _array(message: Mapping[str, Any], key: str, row: ArraySpec, rows: int) -> NDArray[Any]:
    value = message[key]
    if not isinstance(value, np.ndarray):
        raise WireError("no array", where=key, got=type(value).__name__)
    return checked(ArraySpec((rows, *row.shape), dtype=row.dtype), value, where=key)


def checked(spec: ArraySpec, value: NDArray[Any], *, where: str) -> NDArray[Any]:
    """Returns `value` as the type of `spec`.

    Raises:
        SpecError: If it does not fit, or is too large for that type.
    """
    with np.errstate(over="ignore"):
        array = spec.validate(value, where=where)
    # A float64 can be finite and too large for a float32.
    return array if array.dtype == value.dtype else spec.validate(array, where=where)


def _instructions(message: Mapping[str, Any], rows: int) -> tuple[str, ...]:
    texts = message[TASK]
    # Windows made by hand may have no texts at all.
    if not isinstance(texts, list) or not all(isinstance(t, str) for t in texts):
        raise WireError("no texts", where=TASK, got=type(texts).__name__)
    if len(texts) not in (0, rows):
        raise WireError("not one text per row", where=TASK, expected=rows, got=len(texts))
    return tuple(texts)


def _prefix(message: Mapping[str, Any], spec: PolicySpec, rows: int) -> NDArray[np.float32] | None:
    prefix = message.get(ACTION_PREFIX)
    if prefix is None:
        return None
    if not isinstance(prefix, np.ndarray) or prefix.ndim != 3 or prefix.shape[1] > spec.horizon:
        raise WireError(
            "no prefix", where=ACTION_PREFIX, expected=f"(B, up to {spec.horizon}, A) actions"
        )
    row = ArraySpec((prefix.shape[1], *spec.action.shape))
    return _array(message, ACTION_PREFIX, row, rows)


def _prefix_weights(
    message: Mapping[str, Any], prefix: NDArray[np.float32] | None
) -> NDArray[np.float32] | None:
    if ACTION_PREFIX_WEIGHTS not in message:
        return None
    if prefix is None:
        raise WireError("weights of nothing", where=ACTION_PREFIX_WEIGHTS, expected=ACTION_PREFIX)
    rows, length = prefix.shape[:2]
    weights = _array(message, ACTION_PREFIX_WEIGHTS, ArraySpec((length,)), rows)
    if weights.size and not 0.0 <= weights.min() <= weights.max() <= 1.0:
        raise WireError("out of range", where=ACTION_PREFIX_WEIGHTS, expected="0 .. 1")
    return weights


def _integer(message: Mapping[str, Any], key: str, *, low: int, high: int) -> int:
    value = message[key]
    if type(value) is not int or not low <= value <= high:
        raise WireError(
            "out of range", where=key, expected=f"{low} .. {high}", got=repr(value)[:40]
        )
    return value


def _boolean(message: Mapping[str, Any], key: str) -> bool:
    value = message[key]
    if not isinstance(value, bool):
        raise WireError("no boolean", where=key, got=type(value).__name__)
    return value


def message_bytes(spec: PolicySpec, *, rows: int) -> int:
    """Returns an upper bound of the size of a request with that many rows [bytes]."""
    row = sum(s.size * np.dtype(s.dtype).itemsize for _, s in _entries(spec))
    row += 4 * spec.horizon * (spec.action.size + 1)
    return _OVERHEAD_BYTES + rows * (row + _ROW_OVERHEAD_BYTES)


_OVERHEAD_BYTES = 64 * 1024
"""Keys, shapes and types of the arrays, and room for what an openpi client sends along."""

_ROW_OVERHEAD_BYTES = 4096
"""Instruction and generator."""


def check_generators(generators: Sequence[np.random.Generator], rows: int) -> None:
    """Checks that there is one generator per row.

    Raises:
        SpecError: If not.
    """
    if len(generators) != rows:
        raise SpecError(
            "not one generator per row", where="generator", expected=rows, got=len(generators)
        )
