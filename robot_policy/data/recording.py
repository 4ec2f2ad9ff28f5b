"""Episodes with every feature as it is stored, under LeRobot's keys: what conversion works on.

A policy sees `Episode`s, whose parts and types are fixed. A dataset may hold anything beside them;
it passes through here with its own type, so that formats translate without loss.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.episode import Success
from robot_policy.core.errors import SpecError
from robot_policy.core.specs import PolicySpec
from robot_policy.data.frames import Frames
from robot_policy.data.statistics import FeatureStatistics

STAMP = "observation.stamp_ns"
REWARD = "next.reward"
DONE = "next.done"
SUCCESS = "next.success"
INTERVENTION = "intervention"
"""Whether a person drove instead of the policy that was running."""
POLICY_ACTION = "policy_action"
"""What the policy wanted, also where a person drove."""
STRING = "string"


@dataclass(frozen=True, slots=True)
class Feature:
    """One feature of every frame.

    Attributes:
        dtype: numpy type name, or `STRING`.
        shape: Of one frame, (1,) for a scalar; (h, w, C) of an image.
        names: One per entry of a 1-D feature, or empty.
        is_image: Whether it is a camera: uint8 with three channels, or depth, uint16 with one.
        lossless: Whether the images are stored without loss so far and should stay so.
        info: What else a source says about how it stored the images, JSON-ready.
    """

    dtype: str
    shape: tuple[int, ...]
    names: tuple[str, ...] = ()
    is_image: bool = False
    lossless: bool = False
    info: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def __post_init__(self) -> None:
        if not self.shape or min(self.shape) < 1:
            raise SpecError("a feature needs a shape without zeros", got=self.shape)
        if self.names and self.shape != (len(self.names),):
            raise SpecError("one name per entry", expected=self.shape, got=len(self.names))

    @property
    def is_depth(self) -> bool:
        """Whether it is a depth camera."""
        return self.is_image and self.shape[-1] == 1

    @property
    def numpy_dtype(self) -> np.dtype[Any]:
        """Type of the arrays that hold it."""
        return np.dtype(object if self.dtype == STRING else self.dtype)

    def to_json(self) -> dict[str, Any]:
        """Returns a JSON-ready dict."""
        return {
            "dtype": self.dtype,
            "shape": list(self.shape),
            "names": list(self.names),
            "is_image": self.is_image,
            "lossless": self.lossless,
            "info": dict(self.info),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Feature":
        """Inverse of `to_json`."""
        return cls(
            dtype=data["dtype"],
            shape=tuple(data["shape"]),
            names=tuple(data["names"]),
            is_image=data["is_image"],
            lossless=data["lossless"],
            info=dict(data["info"]),
        )


@dataclass(frozen=True, slots=True)
class Description:
    """What a dataset holds.

    Attributes:
        robot: Name of the robot, ``"unknown"`` where nobody says.
        rate_hz: Frames per second.
        features: Dataset key to feature, in order.
        spec: Units, bounds and the meaning of actions, where the dataset says; else None.
        metadata: Of the dataset as a whole, JSON-ready.
    """

    robot: str
    rate_hz: float
    features: Mapping[str, Feature]
    spec: PolicySpec | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def images(self) -> dict[str, Feature]:
        """The cameras among the features."""
        return {key: feature for key, feature in self.features.items() if feature.is_image}

    @property
    def columns(self) -> dict[str, Feature]:
        """The other features."""
        return {key: feature for key, feature in self.features.items() if not feature.is_image}

    def to_json(self) -> dict[str, Any]:
        """Returns a JSON-ready dict."""
        return {
            "robot": self.robot,
            "rate_hz": self.rate_hz,
            "features": {key: feature.to_json() for key, feature in self.features.items()},
            "spec": None if self.spec is None else self.spec.to_json(),
            "metadata": dict(self.metadata),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Description":
        """Inverse of `to_json`."""
        return cls(
            robot=data["robot"],
            rate_hz=data["rate_hz"],
            features={key: Feature.from_json(f) for key, f in data["features"].items()},
            spec=None if data["spec"] is None else PolicySpec.from_json(data["spec"]),
            metadata=dict(data["metadata"]),
        )


@dataclass(frozen=True, slots=True)
class Recording:
    """One episode.

    Attributes:
        index: Its number in its dataset.
        columns: Dataset key to (T, *shape); texts are arrays of `str` objects.
        frames: Dataset key to T images.
        task: Instruction text, of the first frame if it changes.
        success: Outcome.
        metadata: Anything else, JSON-ready.
        statistics: Of features whose statistics the source knows from the original images.
        where: File and episode, named in errors.
    """

    index: int
    columns: Mapping[str, NDArray[Any]]
    frames: Mapping[str, Frames]
    task: str
    success: Success = Success.UNKNOWN
    metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])
    statistics: Mapping[str, FeatureStatistics] = field(
        default_factory=dict[str, FeatureStatistics]
    )
    where: str = ""

    def __len__(self) -> int:
        """Frames."""
        arrays: list[Any] = [*self.columns.values(), *self.frames.values()]
        return int(arrays[0].shape[0]) if arrays else 0
