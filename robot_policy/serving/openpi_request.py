"""What a client of openpi asks: one observation per call, as a flat map of arrays and a prompt.

openpi fixes how messages look, not which keys an observation has; those are these (`<camera>` is a
name of the policy's spec):

- ``observation/state``: ``observation.state``
- ``observation/environment_state``: privileged state
- ``observation/<camera>`` or ``observation/images/<camera>``: images of that camera
- ``prompt`` or ``task``: the instruction
- ``observation/past_actions``: actions executed before now, (up to P, A), the newest last
- ``num_samples``, ``seed``, ``reset``: optional, see `OpenpiSession.parse`

The dataset's own keys are understood too. Anything else is ignored, as openpi does.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.errors import SpecError
from robot_policy.core.observation import (
    ENVIRONMENT_STATE,
    STATE,
    TASK,
    Observation,
    Windows,
    image_key,
)
from robot_policy.core.specs import ArraySpec, PolicySpec
from robot_policy.runtime.history import History
from robot_policy.serving.sample_request import Limits, SampleRequest, checked
from robot_policy.serving.wire import WireError

_PAST = "observation/past_actions"


@dataclass(frozen=True, slots=True)
class OpenpiKeys:
    """Which key of a client means which of the dataset.

    Attributes:
        renamed: Keys of the client, ``observation/wrist_image`` for example, to dataset keys.
    """

    renamed: Mapping[str, str]

    @classmethod
    def parse(cls, words: Iterable[str], spec: PolicySpec) -> "OpenpiKeys":
        """Reads ``client key=dataset key`` words.

        Raises:
            WireError: If a word is none, or the policy has no such key.
        """
        valid = [STATE, ENVIRONMENT_STATE, TASK, *map(image_key, spec.cameras)]
        renamed: dict[str, str] = {}
        for word in words:
            client, separator, key = word.partition("=")
            if not separator or not client or key not in valid:
                raise WireError(
                    "no renaming",
                    where="--rename",
                    expected="client key=key",
                    got=word,
                    valid=valid,
                )
            renamed[client] = key
        return cls(renamed)

    def under_dataset_keys(self, message: Mapping[Any, Any], spec: PolicySpec) -> dict[str, Any]:
        """Returns the entries that mean something, under the dataset's keys."""
        known = {
            "observation/state": STATE,
            "observation/environment_state": ENVIRONMENT_STATE,
            "prompt": TASK,
        }
        for name in spec.cameras:
            known |= {f"observation/{name}": image_key(name)}
            known |= {f"observation/images/{name}": image_key(name)}
        known |= {key: key for key in (*known.values(), TASK, *_OPTIONS)}
        known |= self.renamed
        return {known[key]: value for key, value in message.items() if key in known}


_SEED, _RESET, _NUM_SAMPLES = "seed", "reset", "num_samples"
_OPTIONS = (_PAST, _SEED, _RESET, _NUM_SAMPLES)


class OpenpiSession:
    """One connection of an openpi client: its observations so far, and what it draws from.

    An observation (S,) is added to those before, so that a policy that looks at T of them sees the
    last T calls. A client that calls once per chunk sends windows instead, (T, S) and
    (T, h, w, 3), which are taken as they are.

    Args:
        spec: Of the policy.
        keys: Names of the entries.
        limits: Of N.
        generator: Of this connection.
    """

    def __init__(
        self,
        spec: PolicySpec,
        *,
        keys: OpenpiKeys,
        limits: Limits,
        generator: np.random.Generator,
    ) -> None:
        self._spec = spec
        self._keys = keys
        self._limits = limits
        self._generator = generator
        self._history = History(spec)

    def parse(self, message: Mapping[Any, Any]) -> SampleRequest:
        """Returns the question of one call.

        Optional entries: ``num_samples`` (candidates to draw, 1), ``seed`` (fixes the draws from
        this call on), ``reset`` (forgets the observations before this one).

        Raises:
            WireError: If an entry is missing or of another kind.
            SpecError: If an array does not fit the policy.
        """
        entries = self._keys.under_dataset_keys(message, self._spec)
        num_samples = _integer(entries, _NUM_SAMPLES, 1, low=1, high=self._limits.num_samples)
        seed = _integer(entries, _SEED, None, low=0, high=2**63 - 1)
        arrays = {key: _array(entries, key, message) for key, _ in self._needed()}
        instruction = self._instruction(entries)
        if not isinstance(entries.get(_RESET, False), bool):
            raise WireError("no boolean", where=_RESET, got=type(entries[_RESET]).__name__)
        if entries.get(_RESET):
            self._history.reset()
        if arrays[STATE].ndim == 2:
            windows = self._window(arrays, instruction)
        else:
            self._history.observe(self._observation(arrays, instruction))
            windows = self._history.windows()
        if seed is not None:
            self._generator = np.random.default_rng(seed)
        generator = self._generator.spawn(1)[0]
        return SampleRequest(self._with_past(windows, entries), num_samples, (generator,))

    def _needed(self) -> list[tuple[str, ArraySpec]]:
        spec = self._spec
        needed = [(STATE, spec.state)]
        if spec.environment_state is not None:
            needed.append((ENVIRONMENT_STATE, spec.environment_state))
        return needed + [(image_key(name), image) for name, image in spec.cameras.items()]

    def _observation(self, arrays: Mapping[str, NDArray[Any]], instruction: str) -> Observation:
        values = {key: checked(s, arrays[key], where=key) for key, s in self._needed()}
        return Observation(
            stamp_ns=0,
            state=values[STATE],
            environment_state=values.get(ENVIRONMENT_STATE),
            images={name: values[image_key(name)] for name in self._spec.cameras},
            instruction=instruction,
        )

    def _window(self, arrays: Mapping[str, NDArray[Any]], instruction: str) -> Windows:
        spec, T = self._spec, self._spec.history
        values = {
            key: checked(ArraySpec((T, *s.shape), dtype=s.dtype), arrays[key], where=key)[None]
            for key, s in self._needed()
        }
        return Windows(
            state=values[STATE],
            past=np.zeros((1, spec.past, *spec.action.shape), np.float32),
            valid=np.ones((1, T), np.bool_),
            past_valid=np.zeros((1, spec.past), np.bool_),
            environment_state=values.get(ENVIRONMENT_STATE),
            images={name: values[image_key(name)] for name in spec.cameras},
            instructions=(instruction,),
        )

    def _with_past(self, windows: Windows, entries: Mapping[str, Any]) -> Windows:
        P, past = self._spec.past, entries.get(_PAST)
        if past is None or P == 0:
            return windows
        if not isinstance(past, np.ndarray) or past.ndim != 2 or len(past) > P:
            raise SpecError("wrong shape", where=_PAST, expected=f"(up to {P}, A)")
        known = len(past)
        actions = checked(ArraySpec((known, *self._spec.action.shape)), past, where=_PAST)
        padded = np.zeros((1, P, *self._spec.action.shape), np.float32)
        padded[0, P - known :] = actions
        return replace(windows, past=padded, past_valid=(np.arange(P) >= P - known)[None])

    def _instruction(self, entries: Mapping[str, Any]) -> str:
        text = entries.get(TASK, "")
        if not isinstance(text, str):
            raise WireError("no text", where="prompt", got=type(text).__name__)
        if self._spec.needs_instruction and not text:
            raise WireError("missing", where="prompt", hint="this policy reads an instruction")
        return text


def _array(entries: Mapping[str, Any], key: str, message: Mapping[Any, Any]) -> NDArray[Any]:
    if key not in entries:
        given = sorted(str(name)[:40] for name in message)
        raise WireError(
            f"{key.replace('.', '/')!r} is missing", where="observation", got=", ".join(given[:20])
        )
    value = entries[key]
    if not isinstance(value, np.ndarray):
        raise WireError("no array", where=key, got=type(value).__name__)
    return value


def _integer(entries: Mapping[str, Any], key: str, default: Any, *, low: int, high: int) -> Any:
    value = entries.get(key, default)
    if value is default:
        return default
    if type(value) is not int or not low <= value <= high:
        raise WireError(
            "out of range", where=key, expected=f"{low} .. {high}", got=repr(value)[:40]
        )
    return value
