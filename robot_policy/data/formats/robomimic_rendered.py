"""Recordings of robosuite, which hold simulator states only, with observations made of them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.errors import DataError
from robot_policy.core.observation import ACTION, ENVIRONMENT_STATE, STATE, Observation, image_key
from robot_policy.data.formats.episode_format import DatasetReader
from robot_policy.data.formats.robomimic_layout import MODEL, STATES
from robot_policy.data.formats.source_options import StateRenderer
from robot_policy.data.recording import STAMP, Description, Feature, Recording
from robot_policy.data.statistics import FeatureStatistics


class RenderedReader:
    """Demonstrations seen by the twin; see `DatasetReader`.

    Observations that the file holds are left out. Actions must be in SI units already.

    Args:
        reader: Of the file.
        renderer: Makes observations of states.

    Raises:
        DataError: If the file holds no states, or other actions than the twin takes.
    """

    def __init__(self, reader: DatasetReader, renderer: StateRenderer) -> None:
        before, spec = reader.description, renderer.spec
        for key in (STATES, ACTION):
            if key not in before.features:
                raise DataError(f"no {key} to render from", valid=before.features)
        if before.features[ACTION].shape != spec.action.shape:
            raise DataError(
                "other actions than the twin takes",
                expected=spec.action.shape,
                got=before.features[ACTION].shape,
            )
        self._reader = reader
        self._renderer = renderer
        seen = [key for key in before.features if key.startswith("observation.")]
        self.left_out = [line for line in reader.left_out if not line.startswith("next_obs")]
        features = {
            STATE: Feature("float32", spec.state.shape, spec.state.names),
            ACTION: Feature("float32", spec.action.shape, spec.action.names),
        }
        if spec.environment_state is not None:
            privileged = spec.environment_state
            features[ENVIRONMENT_STATE] = Feature("float32", privileged.shape, privileged.names)
        for camera, image in spec.cameras.items():
            features[image_key(camera)] = Feature("uint8", image.shape, is_image=True)
        features[STAMP] = Feature("int64", (1,))
        features |= {k: f for k, f in before.features.items() if k not in (ACTION, *seen)}
        self.description = Description(
            robot=spec.robot,
            rate_hz=1.0 / spec.dt_s,
            features=features,
            spec=spec,
            metadata=before.metadata,
        )

    def __len__(self) -> int:
        """Number of demonstrations."""
        return len(self._reader)

    def recording(self, position: int) -> Recording:
        """See `DatasetReader.recording`."""
        recording = self._reader.recording(position)
        states = recording.columns[STATES]
        model = recording.metadata.get(MODEL)
        model = model if isinstance(model, str) else None
        seen = list(self._renderer.observations(states, model=model, cameras=()))
        columns: dict[str, NDArray[Any]] = {
            key: values
            for key, values in recording.columns.items()
            if key in self.description.features
        }
        columns[STATE] = np.stack([o.state for o in seen])
        columns[STAMP] = self._stamps(seen)[:, None]
        privileged = [o.environment_state for o in seen if o.environment_state is not None]
        if ENVIRONMENT_STATE in self.description.features:
            columns[ENVIRONMENT_STATE] = np.stack(privileged)
        return replace(
            recording,
            columns=columns,
            frames={
                image_key(camera): RenderedFrames(
                    self._renderer, states, model, camera, image.shape
                )
                for camera, image in self._renderer.spec.cameras.items()
            },
        )

    def statistics(self, position: int) -> Mapping[str, FeatureStatistics]:
        """None are known."""
        return {}

    def _stamps(self, seen: list[Observation]) -> NDArray[np.int64]:
        """Times of the simulator; evenly spaced where it does not tell."""
        stamps = np.array([o.stamp_ns for o in seen], dtype=np.int64)
        if (np.diff(stamps) > 0).all():
            return stamps
        period_ns = 1e9 * self._renderer.spec.dt_s
        return np.round(np.arange(len(seen)) * period_ns).astype(np.int64)


@dataclass(frozen=True, slots=True)
class RenderedFrames:
    """What a camera sees in recorded states, rendered one at a time; see `Frames`.

    Attributes:
        renderer: Renders.
        states: (T, D).
        model: XML of the scene.
        camera: Whose images.
        size: (h, w, 3).
    """

    renderer: StateRenderer
    states: NDArray[Any]
    model: str | None
    camera: str
    size: tuple[int, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, h, w, C)."""
        return (len(self.states), *self.size)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the pixels."""
        return np.dtype(np.uint8)

    def __iter__(self) -> Iterator[NDArray[Any]]:
        """Yields the images."""
        for seen in self.renderer.observations(
            self.states, model=self.model, cameras=(self.camera,)
        ):
            yield seen.images[self.camera]
