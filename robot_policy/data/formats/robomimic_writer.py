"""Writes robomimic's HDF5 files, one committed demonstration after the other."""

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from robot_policy.core.errors import DataError
from robot_policy.core.files import replacing
from robot_policy.core.observation import ACTION
from robot_policy.data.formats.hdf5_file import group, open_hdf5
from robot_policy.data.formats.recording_check import check_recording
from robot_policy.data.formats.robomimic_layout import (
    ABOUT,
    ENV_ARGS,
    MASKS,
    MODEL,
    places,
)
from robot_policy.data.formats.undo_file import changing, restore
from robot_policy.data.frames import Frames
from robot_policy.data.recording import DONE, REWARD, Description, Feature, Recording

_GYM = 2
"""robomimic's number of a gym environment, for datasets that do not come from one of its own."""
_MASK_NAME = "S24"
_MASK_CHUNK = 256


class RobomimicWriter:
    """Adds demonstrations to a file; see `DatasetWriter`. Use `create` or `append`.

    Every observation is followed by the next one in ``next_obs``. Actions are scaled to [-1, 1] by
    their bounds, as robomimic's policies expect; ``extra`` has them as they are.

    Args:
        path: The file.
        description: What every demonstration holds.
        episodes: In it so far.
    """

    def __init__(self, path: Path, description: Description, *, episodes: int) -> None:
        self._path = path
        self._description = description
        self._places = places(description)
        self._episodes = episodes

    @classmethod
    def create(cls, path: Path, description: Description) -> "RobomimicWriter":
        """Starts a file where there is none, or an empty folder."""
        if path.is_dir():
            path.rmdir()
        with replacing(path) as temporary, h5py.File(temporary, "w") as file:
            data = file.create_group("data")
            data.attrs["total"] = np.int64(0)
            data.attrs[ENV_ARGS] = json.dumps(_env_args(description))
            data.attrs[ABOUT] = json.dumps(description.to_json())
        return cls(path, description, episodes=0)

    @classmethod
    def append(cls, path: Path, description: Description) -> "RobomimicWriter":
        """Goes on with a file of ours; undoes what an interrupted writer left.

        Raises:
            DataError: If it is damaged or was not written by this project.
        """
        restore(path)
        with open_hdf5(path) as file:
            data = group(file, "data", where=path)
            if ABOUT not in data.attrs:
                raise DataError("cannot append to a file of somebody else", where=path)
            return cls(path, description, episodes=len(data))

    @property
    def episodes(self) -> int:
        """Demonstrations that are safe on disk."""
        return self._episodes

    def add(self, recording: Recording) -> None:
        """Writes a demonstration; it is part of the file when this returns.

        Raises:
            SpecError: If it does not fit the description.
            DataError: If a value is not finite, or an image cannot be read.
        """
        check_recording(recording, self._description)
        with changing(self._path) as change, h5py.File(change, "r+") as file:
            self._write(file, recording)
        self._episodes += 1

    def close(self) -> None:
        """Undoes what is not part of the file."""
        restore(self._path)

    def _write(self, file: h5py.File, recording: Recording) -> None:
        name, length = f"demo_{self._episodes}", len(recording)
        data = group(file, "data", where=self._path)
        demo = data.create_group(name)
        demo.attrs["num_samples"] = length
        metadata = dict(recording.metadata)
        if isinstance(metadata.get(MODEL), str):
            demo.attrs[MODEL] = metadata.pop(MODEL)
        about = {"success": recording.success.value, "task": recording.task, "metadata": metadata}
        demo.attrs[ABOUT] = json.dumps(about, allow_nan=False)
        _write_learned_from(demo, recording, self._description)
        for key, feature in self._description.features.items():
            place = self._places[key]
            if feature.is_image:
                _write_images(demo, place, recording.frames[key], feature)
            else:
                _write_values(demo, place, recording.columns[key])
            if place.startswith("obs/"):
                _write_next(demo, place)
        data.attrs["total"] = np.int64(data.attrs["total"]) + length  # pyright: ignore
        masks = metadata.get(MASKS)
        for mask in masks if isinstance(masks, list) else ():
            _append_to_mask(file, str(mask), name)


def _env_args(description: Description) -> dict[str, Any]:
    known = description.metadata.get(ENV_ARGS)
    if isinstance(known, dict):
        return known
    return {"env_name": description.robot, "type": _GYM, "env_kwargs": {}}


def _write_learned_from(demo: h5py.Group, recording: Recording, description: Description) -> None:
    """What robomimic needs beside observations, whether or not the recording has it."""
    length = len(recording)
    actions = recording.columns.get(ACTION, np.zeros((length, 0), np.float32))
    _write_values(demo, "actions", scaled(actions, description))
    rewards = recording.columns.get(REWARD, np.zeros((length, 1), np.float32))
    _write_values(demo, "rewards", rewards[:, 0])
    dones = recording.columns.get(DONE, (np.arange(length) == length - 1)[:, None])
    _write_values(demo, "dones", dones[:, 0])


def scaled(actions: NDArray[Any], description: Description) -> NDArray[Any]:
    """Actions (T, A) scaled to [-1, 1] by their bounds; as they are where there are none."""
    spec = description.spec
    if spec is None or not spec.action.low or actions.shape[1:] != spec.action.shape:
        return actions
    low, high = np.array(spec.action.low), np.array(spec.action.high)
    if (low == -1).all() and (high == 1).all():
        return actions
    width = np.where(high > low, high - low, 1.0)
    return (2.0 * (actions - low) / width - 1.0).astype(actions.dtype)


def _write_values(demo: h5py.Group, place: str, values: NDArray[Any]) -> None:
    if values.dtype == object:
        texts = [text.encode() for text in values.ravel().tolist()]
        size = max(1, *map(len, texts))
        values = np.array(texts, dtype=f"S{size}").reshape(values.shape)
    if values.size == 0:
        demo.create_dataset(place, data=values)
        return
    # One chunk, because only chunks carry a checksum. That of zeros is zero, so a block of the file
    # that a crash has left empty would pass; compressed, it does not.
    demo.create_dataset(
        place,
        data=values,
        chunks=values.shape,
        fletcher32=True,
        compression="gzip",
        compression_opts=1,
    )


def _write_images(demo: h5py.Group, place: str, frames: Frames, feature: Feature) -> None:
    shape = frames.shape
    data = demo.create_dataset(
        place, shape, feature.numpy_dtype, chunks=(1, *shape[1:]), fletcher32=True
    )
    for index, image in enumerate(frames):
        data[index] = image


def _write_next(demo: h5py.Group, place: str) -> None:
    """The next observation of every step, as a view of the observations that takes no space."""
    data: Any = demo[place]
    length, rest = data.shape[0], data.shape[1:]
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_obj_track_times(False)  # equal content makes equal files
    # The last one is followed by itself.
    for here, there, count in ((0, 1, length - 1), (length - 1, length - 1, 1)):
        if count:
            view, source = (_rows(data.shape, start, count) for start in (here, there))
            properties.set_virtual(view, b".", data.name.encode(), source)
    space = h5py.h5s.create_simple((length, *rest))
    made = h5py.h5d.create(demo.id, None, data.id.get_type(), space, properties)
    demo[f"next_{place}"] = h5py.Dataset(made)


def _rows(shape: tuple[int, ...], start: int, count: int) -> Any:
    """A choice of consecutive rows of an array."""
    space = h5py.h5s.create_simple(shape)
    space.select_hyperslab((start, *[0] * (len(shape) - 1)), (count, *shape[1:]))
    return space


def _append_to_mask(file: h5py.File, mask: str, demo: str) -> None:
    masks = file.require_group("mask")
    if mask not in masks:
        masks.create_dataset(mask, (0,), _MASK_NAME, maxshape=(None,), chunks=(_MASK_CHUNK,))
    names: Any = masks[mask]
    names.resize((len(names) + 1,))
    names[-1] = np.bytes_(demo)
