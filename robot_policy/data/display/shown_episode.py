"""What is shown of an episode: its numbers in groups, and its cameras."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.observation import ACTION, ENVIRONMENT_STATE, IMAGES, STATE
from robot_policy.data.formats.episode_format import DatasetReader
from robot_policy.data.frames import Frames
from robot_policy.data.recording import REWARD, Description, Recording

_FIRST = (STATE, ACTION, ENVIRONMENT_STATE, REWARD)
_HIDDEN = frozenset({"observation.stamp_ns", "next.done", "next.success"})
_MOST_ENTRIES = 64


@dataclass(frozen=True, slots=True)
class Group:
    """A feature over an episode.

    Attributes:
        key: Of the dataset.
        names: One per entry.
        units: One per entry, empty where nobody says.
        values: (T, D); what is not finite stays so.
        left_out: Entries beyond the D that are shown.
    """

    key: str
    names: tuple[str, ...]
    units: tuple[str, ...]
    values: NDArray[np.float64]
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class ShownEpisode:
    """An episode as it is shown.

    Attributes:
        number: In the dataset.
        recording: All of it.
        groups: Features, states and actions first.
        cameras: Camera name to its frames.
        rate_hz: Frames per second.
    """

    number: int
    recording: Recording
    groups: tuple[Group, ...]
    cameras: Mapping[str, Frames]
    rate_hz: float


def shown_episode(reader: DatasetReader, number: int) -> ShownEpisode:
    """Reads an episode; its images are read when they are iterated over.

    Raises:
        DataError: If it is damaged.
    """
    recording, description = reader.recording(number), reader.description
    keys = [key for key in _FIRST if key in description.columns]
    keys += [
        key
        for key, feature in description.columns.items()
        if key not in keys and key not in _HIDDEN and feature.numpy_dtype.kind in "fiub"
    ]
    groups = (_group(key, recording.columns[key], description) for key in keys)
    return ShownEpisode(
        number=number,
        recording=recording,
        groups=tuple(group for group in groups if group is not None),
        cameras={k.removeprefix(f"{IMAGES}."): frames for k, frames in recording.frames.items()},
        rate_hz=description.rate_hz,
    )


def _group(key: str, values: NDArray[Any], description: Description) -> Group | None:
    flat = values.reshape(len(values), -1).astype(np.float64)
    if key == REWARD and not flat.any():
        return None  # most datasets have none
    size = flat.shape[1]
    shown = min(size, _MOST_ENTRIES)
    names = description.features[key].names
    if len(names) != size:
        names = (key.rpartition(".")[2],) if size == 1 else tuple(map(str, range(size)))
    units = _units(key, description)
    return Group(
        key=key,
        names=names[:shown],
        units=units[:shown] if len(units) == size else ("",) * shown,
        values=flat[:, :shown],
        left_out=size - shown,
    )


def _units(key: str, description: Description) -> tuple[str, ...]:
    spec = description.spec
    if spec is None:
        return ()
    arrays = {STATE: spec.state, ACTION: spec.action, ENVIRONMENT_STATE: spec.environment_state}
    array = arrays.get(key)
    return () if array is None else tuple("" if unit == "1" else unit for unit in array.units)
