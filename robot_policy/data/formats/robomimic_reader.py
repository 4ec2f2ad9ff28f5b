"""Reads robomimic's HDF5 files, those of this project to the bit."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import h5py
from numpy.typing import NDArray

from robot_policy.core.episode import Success
from robot_policy.core.errors import DataError
from robot_policy.data.formats.episode_format import DatasetReader
from robot_policy.data.formats.hdf5_file import (
    Hdf5Frames,
    dataset,
    group,
    json_attribute,
    open_hdf5,
    values,
)
from robot_policy.data.formats.robomimic_demo import (
    check_images,
    check_shape,
    datasets,
    missing_frames,
    num_samples,
)
from robot_policy.data.formats.robomimic_foreign import ForeignRobomimicReader
from robot_policy.data.formats.robomimic_layout import (
    ABOUT,
    LEARNED_FROM,
    MODEL,
    places,
    sorted_demos,
)
from robot_policy.data.formats.robomimic_rendered import RenderedReader
from robot_policy.data.formats.source_options import SourceOptions
from robot_policy.data.recording import Description, Feature, Recording
from robot_policy.data.statistics import FeatureStatistics


def open_robomimic(path: Path, options: SourceOptions) -> DatasetReader:
    """Opens a file for reading.

    Raises:
        DataError: If it is damaged or is not robomimic's.
    """
    with open_hdf5(path) as file:
        data = group(file, "data", where=path)
        about = json_attribute(data, ABOUT, where=path)
    if about is not None:
        return RobomimicReader(path, about)
    if options.renderer is None:
        return ForeignRobomimicReader(path, options)
    reader = ForeignRobomimicReader(path, replace(options, si_actions=True))
    return RenderedReader(reader, options.renderer)


class RobomimicReader:
    """The demonstrations of a file that this project wrote; see `DatasetReader`.

    Args:
        path: The file.
        about: Its description, as JSON.

    Raises:
        DataError: If the description is damaged.
    """

    def __init__(self, path: Path, about: Mapping[str, Any]) -> None:
        self.path = path
        try:
            self.description = Description.from_json(about)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError("not a description", where=path, got=repr(error)) from error
        self._places = places(self.description)
        with open_hdf5(path) as file:
            data = group(file, "data", where=path)
            self._demos = sorted_demos(data)
            self.left_out = missing_frames(data) + self._unknown(data)

    def __len__(self) -> int:
        """Number of demonstrations."""
        return len(self._demos)

    def recording(self, position: int) -> Recording:
        """See `DatasetReader.recording`."""
        name = self._demos[position]
        where = f"{self.path}, {name}"
        columns: dict[str, NDArray[Any]] = {}
        with open_hdf5(self.path) as file:
            demo = group(group(file, "data", where=self.path), name, where=self.path)
            length = num_samples(demo, where=where)
            about = self._about(demo, where)
            frames = {}
            for key, feature in self.description.features.items():
                data = dataset(demo, self._places[key], where=where)
                shape = (length, *feature.shape)
                if feature.is_image:
                    check_images(data, shape, feature.numpy_dtype, where=where)
                    frames[key] = Hdf5Frames(
                        self.path, str(data.name), data.shape, feature.numpy_dtype
                    )
                else:
                    check_shape(data, shape, where=where)
                    columns[key] = _column(data, feature, where=where)
            metadata = dict(about.metadata)
            if MODEL in demo.attrs:
                metadata[MODEL] = str(demo.attrs[MODEL])
        return Recording(
            index=position,
            columns=columns,
            frames=frames,
            task=about.task,
            success=about.success,
            metadata=metadata,
            where=where,
        )

    def statistics(self, position: int) -> Mapping[str, FeatureStatistics]:
        """None are in the file."""
        return {}

    def _unknown(self, data: h5py.Group) -> list[str]:
        """A line for every dataset of the first demonstration that the description lacks."""
        demo = data.get(self._demos[0]) if self._demos else None
        if not isinstance(demo, h5py.Group):
            return []
        known = {*self._places.values(), *LEARNED_FROM}
        return [
            f"{name}: not in the description of the file"
            for name, _ in datasets(demo)
            if name not in known and not name.startswith("next_obs/")
        ]

    def _about(self, demo: h5py.Group, where: str) -> "_About":
        data = json_attribute(demo, ABOUT, where=where)
        try:
            return _About(str(data["task"]), Success(data["success"]), dict(data["metadata"]))
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(
                "what is told of it is damaged", where=where, got=repr(error)
            ) from error


@dataclass(frozen=True, slots=True)
class _About:
    task: str
    success: Success
    metadata: Mapping[str, Any]


def _column(data: h5py.Dataset, feature: Feature, *, where: object) -> NDArray[Any]:
    array = values(data, where=where)
    if array.dtype != feature.numpy_dtype:
        raise DataError(
            "wrong type",
            where=f"{where}, {data.name}",
            expected=feature.dtype,
            got=array.dtype,
        )
    return array
