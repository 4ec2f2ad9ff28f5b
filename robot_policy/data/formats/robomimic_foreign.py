"""Reads HDF5 files of robomimic and robosuite: their names and shapes as our features."""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from robot_policy.core.episode import Success
from robot_policy.core.errors import DataError
from robot_policy.core.observation import ACTION, ENVIRONMENT_STATE, IMAGES, STATE
from robot_policy.core.specs import ArraySpec, PolicySpec
from robot_policy.data.formats.hdf5_file import (
    Hdf5Frames,
    attributes,
    dataset,
    group,
    open_hdf5,
    values,
)
from robot_policy.data.formats.robomimic_actions import (
    Controller,
    action_spec,
    controller_of,
    si_actions,
)
from robot_policy.data.formats.robomimic_demo import (
    check_images,
    datasets,
    missing_frames,
    num_samples,
)
from robot_policy.data.formats.robomimic_layout import (
    ENV_ARGS,
    MASKS,
    STATES,
    sorted_demos,
)
from robot_policy.data.formats.source_options import SourceOptions
from robot_policy.data.recording import DONE, REWARD, Description, Feature, Recording
from robot_policy.data.statistics import FeatureStatistics

_DEFAULT_RATE_HZ = 20.0  # robosuite's
_PLAIN = {"actions": ACTION, "rewards": REWARD, "dones": DONE, "states": STATES}


@dataclass(frozen=True, slots=True)
class _Source:
    """Datasets of a demonstration that make up a feature, side by side."""

    names: tuple[str, ...]
    channels_first: bool = False


class ForeignRobomimicReader:
    """The demonstrations of a file that somebody else wrote; see `DatasetReader`.

    Proprioception, which robomimic keeps in one dataset per sensor, becomes one state vector whose
    names tell the sensors; the state of the objects is the privileged state. The observation after
    the last action, which only robomimic keeps, is left out.

    Args:
        path: The file.
        options: Whether actions become SI units; the task.

    Raises:
        DataError: If the file is damaged or is not robomimic's.
    """

    def __init__(self, path: Path, options: SourceOptions) -> None:
        self.path = path
        self._options = options
        with open_hdf5(path) as file:
            data = group(file, "data", where=path)
            self._demos = sorted_demos(data)
            if not self._demos:
                raise DataError("no demonstration", where=path)
            self.left_out = missing_frames(data)
            self._masks = _masks(file)
            self._metadata = _metadata(data)
            first = group(data, self._demos[0], where=path)
            self._sources, features = self._features(first)
            self.left_out += self._elsewhere(data)
        env_args = self._metadata.get(ENV_ARGS, self._metadata.get("env_info", {}))
        env_args = env_args if isinstance(env_args, dict) else {}
        kwargs = env_args.get("env_kwargs", env_args)
        kwargs = kwargs if isinstance(kwargs, dict) else {}
        size = features[ACTION].shape[0] if ACTION in features else 0
        self._controller = controller_of(env_args, size=size)
        if options.si_actions and ACTION in features:
            features[ACTION] = Feature("float32", (size,))
        robot = _robot(kwargs)
        rate_hz = _rate_hz(kwargs)
        self.description = Description(
            robot=robot,
            rate_hz=rate_hz,
            features=features,
            spec=_spec(robot, rate_hz, features, self._controller, si=options.si_actions),
            metadata=self._metadata,
        )

    def __len__(self) -> int:
        """Number of demonstrations."""
        return len(self._demos)

    def recording(self, position: int) -> Recording:
        """See `DatasetReader.recording`."""
        name = self._demos[position]
        where = f"{self.path}, {name}"
        columns: dict[str, NDArray[Any]] = {}
        frames = {}
        with open_hdf5(self.path) as file:
            demo = group(group(file, "data", where=self.path), name, where=self.path)
            length = _length(demo, where)
            for key, source in self._sources.items():
                feature = self.description.features[key]
                if feature.is_image:
                    frames[key] = self._frames(demo, source, feature, length, where)
                else:
                    columns[key] = self._column(demo, key, source, feature, length, where)
            metadata = {k: v for k, v in attributes(demo).items() if k != "num_samples"}
        masks = sorted(mask for mask, members in self._masks.items() if name in members)
        if masks:
            metadata[MASKS] = masks
        if name != f"demo_{position}":
            metadata["demo"] = name
        rewarded = REWARD in columns and bool((columns[REWARD] > 0).any())
        return Recording(
            index=position,
            columns=columns,
            frames=frames,
            task=self._options.task,
            success=Success.YES if rewarded else Success.UNKNOWN,
            metadata=metadata,
            where=where,
        )

    def statistics(self, position: int) -> Mapping[str, FeatureStatistics]:
        """None are in the file."""
        return {}

    def _column(
        self,
        demo: h5py.Group,
        key: str,
        source: _Source,
        feature: Feature,
        length: int,
        where: str,
    ) -> NDArray[Any]:
        parts: list[NDArray[Any]] = []
        for name in source.names:
            data = dataset(demo, name, where=where)
            if data.shape[:1] != (length,):
                raise DataError(
                    "wrong number of frames",
                    where=f"{where}, {name}",
                    expected=length,
                    got=data.shape[0] if data.shape else "none",
                )
            array = values(data, where=where)
            parts.append(array.reshape(length, -1) if len(source.names) > 1 else array)
        joined = np.concatenate(parts, axis=1) if len(parts) > 1 else parts[0]
        if key == ACTION and self._options.si_actions:
            joined = si_actions(joined, self._controller, where=where)
        if joined.size != length * int(np.prod(feature.shape)):
            raise DataError(
                f"{key} differs from that of the first demonstration",
                where=where,
                expected=feature.shape,
                got=joined.shape[1:],
            )
        return joined.reshape(length, *feature.shape).astype(feature.numpy_dtype, copy=False)

    def _frames(
        self, demo: h5py.Group, source: _Source, feature: Feature, length: int, where: str
    ) -> Hdf5Frames:
        data = dataset(demo, source.names[0], where=where)
        height, width, channels = feature.shape
        shape = (channels, height, width) if source.channels_first else feature.shape
        check_images(data, (length, *shape), feature.numpy_dtype, where=where)
        return Hdf5Frames(
            self.path,
            str(data.name),
            (length, *feature.shape),
            feature.numpy_dtype,
            channels_first=source.channels_first,
        )

    def _elsewhere(self, data: h5py.Group) -> list[str]:
        """A line for every dataset that the first demonstration lacks."""
        known = _names(data.get(self._demos[0]))
        found: dict[str, str] = {}
        for demo in self._demos[1:]:
            for name in _names(data.get(demo)) - known:
                found.setdefault(name, demo)
        first = self._demos[0]
        return [f"{name}: in {demo} and not in {first}" for name, demo in sorted(found.items())]

    def _features(self, demo: h5py.Group) -> tuple[dict[str, _Source], dict[str, Feature]]:
        """What the first demonstration holds; the others must hold the same."""
        where = f"{self.path}, {demo.name}"
        length = _length(demo, where)
        sources: dict[str, _Source] = {}
        features: dict[str, Feature] = {}
        state: dict[str, h5py.Dataset] = {}
        for name, data in datasets(demo):
            if name.startswith("next_obs/"):
                continue
            if data.shape[:1] != (length,) or data.dtype.kind not in "biufSO":
                self.left_out.append(f"{name}: not one value per frame")
                continue
            kind = name.removeprefix("obs/") if name.startswith("obs/") else None
            if kind is not None and _is_proprioception(kind, data):
                state[name] = data
                continue
            key, feature, channels_first = _feature(name, data)
            sources[key] = _Source((name,), channels_first)
            features[key] = feature
        if "next_obs" in demo:
            self.left_out.append("next_obs: the observation after the last action")
        if state:
            names = tuple(sorted(state))
            dtype = np.result_type(*(state[name].dtype for name in names))
            labels = [label for name in names for label in _labels(name, state[name])]
            sources = {STATE: _Source(names), **sources}
            features = {STATE: Feature(dtype.name, (len(labels),), tuple(labels)), **features}
        return sources, features


def _names(demo: object) -> set[str]:
    """Datasets of a demonstration, but for the observations that follow others."""
    if not isinstance(demo, h5py.Group):
        return set()
    return {name for name, _ in datasets(demo) if not name.startswith("next_obs/")}


def _length(demo: h5py.Group, where: str) -> int:
    """Frames of a demonstration; robosuite's own recordings do not say."""
    if "num_samples" in demo.attrs:
        return num_samples(demo, where=where)
    return int(dataset(demo, "actions", where=where).shape[0])


def _is_proprioception(name: str, data: h5py.Dataset) -> bool:
    return (
        name.startswith("robot")
        and not name.endswith("-state")  # all others once more, side by side
        and data.ndim <= 2
        and data.dtype.kind == "f"
    )


def _labels(name: str, data: h5py.Dataset) -> list[str]:
    sensor = name.removeprefix("obs/")
    size = int(np.prod(data.shape[1:]))
    return [sensor] if size == 1 else [f"{sensor}.{i}" for i in range(size)]


def _feature(name: str, data: h5py.Dataset) -> tuple[str, Feature, bool]:
    """Key and feature of a dataset, and whether its images have the channels first."""
    shape = data.shape[1:] or (1,)
    dtype = "string" if data.dtype.kind in "SO" else data.dtype.name
    if name in _PLAIN:
        if dtype == "string":
            raise DataError("texts instead of numbers", where=data.name)
        return _PLAIN[name], Feature(dtype, shape), False
    if not name.startswith("obs/"):
        return name.replace("/", "."), Feature(dtype, shape), False
    sensor = name.removeprefix("obs/").replace("/", ".")
    colour, depth = dtype == "uint8" and 3 in shape, dtype == "uint16" and 1 in shape
    if len(shape) == 3 and (colour or depth):
        channels = 3 if colour else 1
        first = shape[2] != channels
        if not first or shape[0] == channels:
            size = shape[1:] if first else shape[:2]
            feature = Feature(dtype, (*size, channels), is_image=True, lossless=depth)
            return f"{IMAGES}.{sensor.removesuffix('_image')}", feature, first
    if sensor == "object" and len(shape) == 1:
        return ENVIRONMENT_STATE, Feature(dtype, shape), False
    return f"observation.{sensor}", Feature(dtype, shape), False


def _masks(file: h5py.File) -> dict[str, set[str]]:
    node = file.get("mask")
    if not isinstance(node, h5py.Group):
        return {}
    found = ((name, node.get(name)) for name in node)
    return {
        name: set(values(data, where="mask").ravel().tolist())
        for name, data in found
        if name is not None and isinstance(data, h5py.Dataset)
    }


def _metadata(data: h5py.Group) -> dict[str, Any]:
    """Attributes of the file as a whole; those that hold JSON as what they hold."""
    found: dict[str, Any] = {}
    for name, value in attributes(data).items():
        if name == "total":
            continue
        if isinstance(value, str) and value.lstrip().startswith("{"):
            with suppress(ValueError):
                value = json.loads(value)
        found[name] = value
    return found


def _rate_hz(kwargs: Mapping[str, Any]) -> float:
    rate = kwargs.get("control_freq")
    usable = isinstance(rate, int | float) and 0 < rate < 1e6
    return float(rate) if usable else _DEFAULT_RATE_HZ  # pyright: ignore


def _robot(kwargs: Mapping[str, Any]) -> str:
    robots = kwargs.get("robots")
    if isinstance(robots, list) and robots:
        robots = robots[0]
    return robots if isinstance(robots, str) and robots else "unknown"


def _spec(
    robot: str,
    rate_hz: float,
    features: Mapping[str, Feature],
    controller: Controller | None,
    *,
    si: bool,
) -> PolicySpec | None:
    """What actions mean, if the file tells; only of files that a policy could learn from."""
    if controller is None or controller.action_space is None:
        return None
    if STATE not in features or ACTION not in features:
        return None
    privileged = features.get(ENVIRONMENT_STATE)
    return PolicySpec(
        robot=robot,
        state=ArraySpec(features[STATE].shape, names=features[STATE].names),
        action=action_spec(controller, si=si),
        action_space=controller.action_space,
        dt_s=1.0 / rate_hz,
        environment_state=None if privileged is None else ArraySpec(privileged.shape),
        cameras={
            key.removeprefix(f"{IMAGES}."): ArraySpec(f.shape, dtype="uint8")
            for key, f in features.items()
            if f.is_image and not f.is_depth
        },
    )
