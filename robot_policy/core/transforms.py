"""What happens to data between the robot and the network, the same in training and at run time."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.errors import ConfigError, UnknownNameError
from robot_policy.core.images import resize
from robot_policy.core.observation import ACTION, image_key
from robot_policy.core.specs import PolicySpec, image_spec

type Sample = Mapping[str, Any]
"""Arrays under dataset keys, with any leading axes: (B, T, S) under ``observation.state``, …"""

type Statistics = Mapping[str, Mapping[str, NDArray[np.floating]]]
"""Feature key to statistic name (min, max, mean, std, …) to array, as LeRobot's stats.json."""


class Transform(Protocol):
    """One step of a pipeline. Inputs are never changed in place."""

    def apply(self, sample: Sample) -> Sample:
        """Data in the robot's units to data for the network."""
        ...

    def invert(self, actions: NDArray[np.float32]) -> NDArray[np.float32]:
        """Actions (..., A) from the network back to the robot's units."""
        ...

    def to_json(self) -> dict[str, Any]:
        """Configuration without statistics, ``kind`` included."""
        ...


class NormalizationMode(StrEnum):
    """How a feature is scaled.

    MIN_MAX: 2 (x - min) / (max - min) - 1, into [-1, 1].
    MEAN_STD: (x - mean) / std.
    AFFINE: (x - offset) / scale, both given as they are: the scaling of another library.
    """

    MIN_MAX = "min_max"
    MEAN_STD = "mean_std"
    AFFINE = "affine"

    @property
    def statistics(self) -> tuple[str, str]:
        """Names of the two statistics it is made from."""
        names = {
            NormalizationMode.MIN_MAX: ("min", "max"),
            NormalizationMode.MEAN_STD: ("mean", "std"),
            NormalizationMode.AFFINE: ("offset", "scale"),
        }
        return names[self]


# Entries that vary less than this are only shifted: dividing by their range would blow noise up.
_MIN_RANGE = 1e-4


@dataclass(frozen=True, eq=False)
class Normalize:
    """Scales one feature: y = (x - offset) / scale, per entry of its last axis.

    Near-constant entries are shifted but not scaled.

    Attributes:
        key: Feature it applies to; absent features are left alone.
        mode: How.
        offset: (D,).
        scale: (D,), positive.
    """

    key: str
    mode: NormalizationMode
    offset: NDArray[np.float32]
    scale: NDArray[np.float32]
    kind: ClassVar[str] = "normalize"

    @classmethod
    def from_statistics(cls, statistics: Statistics, *, key: str, mode: str) -> Self:
        """Builds it from the statistics of `key`.

        Raises:
            ConfigError: If statistics are missing, not finite, or a given scale is not positive.
            UnknownNameError: If `mode` is none.
        """
        if mode not in list(NormalizationMode):
            raise UnknownNameError.of("normalisation", mode, list(NormalizationMode))
        if key not in statistics:
            raise ConfigError("no statistics", where=key, valid=statistics)
        stats = statistics[key]
        names = NormalizationMode(mode).statistics
        for name in names:
            if name not in stats:
                raise ConfigError(f"no statistic {name!r}", where=key, valid=stats)
            if not np.isfinite(stats[name]).all():
                raise ConfigError(f"statistic {name!r} is not finite", where=key)
        a, b = (np.asarray(stats[name], dtype=np.float64) for name in names)
        if mode == NormalizationMode.MIN_MAX:
            offset, scale, constant = (a + b) / 2, (b - a) / 2, (b - a) < _MIN_RANGE
        elif mode == NormalizationMode.MEAN_STD:
            offset, scale, constant = a, b, b < _MIN_RANGE
        else:
            if not (b > 0).all():
                raise ConfigError("scale is not positive", where=key, got=b.min())
            offset, scale, constant = a, b, np.zeros_like(b, dtype=bool)
        scale = np.where(constant, 1.0, scale)
        return cls(
            key, NormalizationMode(mode), offset.astype(np.float32), scale.astype(np.float32)
        )

    def apply(self, sample: Sample) -> Sample:
        """Scales ``sample[key]``."""
        if self.key not in sample:
            return sample
        return {**sample, self.key: (sample[self.key] - self.offset) / self.scale}

    def invert(self, actions: NDArray[np.float32]) -> NDArray[np.float32]:
        """Scales actions back if this is the action's transform."""
        return actions * self.scale + self.offset if self.key == ACTION else actions

    def to_json(self) -> dict[str, Any]:
        """Configuration without statistics."""
        return {"kind": self.kind, "key": self.key, "mode": self.mode.value}


@dataclass(frozen=True)
class ResizeImages:
    """Brings the images of one camera to the size that the network was trained on.

    Training reads images that already have it, so only the robot's are changed.

    Attributes:
        camera: Whose images; absent ones are left alone.
        source: (height, width) that the camera delivers [px].
        size: (height, width) that the network sees [px].
    """

    camera: str
    source: tuple[int, int]
    size: tuple[int, int]
    kind: ClassVar[str] = "resize_images"

    @classmethod
    def from_statistics(
        cls, statistics: Statistics, *, camera: str, source: Sequence[int], size: Sequence[int]
    ) -> Self:
        """Builds it from its configuration; statistics have no part in it.

        Raises:
            ConfigError: If a size is none.
        """
        for name, value in (("source", source), ("size", size)):
            if len(value) != 2 or min(value) < 1:
                raise ConfigError("not a size", where=f"{name} of {camera}", got=list(value))
        return cls(camera, (int(source[0]), int(source[1])), (int(size[0]), int(size[1])))

    def apply(self, sample: Sample) -> Sample:
        """Resizes (..., h, w, 3) images; features of images, which are no uint8, stay."""
        key = image_key(self.camera)
        if key not in sample or sample[key].dtype != np.uint8:
            return sample
        return {**sample, key: resize(sample[key], self.size)}

    def invert(self, actions: NDArray[np.float32]) -> NDArray[np.float32]:
        """Actions are left alone."""
        return actions

    def to_json(self) -> dict[str, Any]:
        """Configuration."""
        sizes = {"source": list(self.source), "size": list(self.size)}
        return {"kind": self.kind, "camera": self.camera, **sizes}


_KINDS: Mapping[str, Callable[..., Transform]] = {
    Normalize.kind: Normalize.from_statistics,
    ResizeImages.kind: ResizeImages.from_statistics,
}


class Pipeline:
    """Transforms in order; `invert` runs them in reverse, so training and serving mirror.

    Args:
        transforms: In the order in which `apply` runs them.
    """

    def __init__(self, transforms: Sequence[Transform]) -> None:
        self.transforms = tuple(transforms)

    def apply(self, sample: Sample) -> Sample:
        """Data in the robot's units to data for the network."""
        for transform in self.transforms:
            sample = transform.apply(sample)
        return sample

    def invert(self, actions: NDArray[np.float32]) -> NDArray[np.float32]:
        """Actions (..., A) from the network to the robot's units."""
        for transform in reversed(self.transforms):
            actions = transform.invert(actions)
        return actions

    def network_spec(self, spec: PolicySpec) -> PolicySpec:
        """Returns what the network sees of what the robot delivers according to `spec`."""
        return self._with_image_sizes(spec, {t.camera: t.size for t in self._resizing})

    def source_spec(self, spec: PolicySpec) -> PolicySpec:
        """Returns what the robot must deliver so that the network sees `spec`."""
        return self._with_image_sizes(spec, {t.camera: t.source for t in self._resizing})

    @property
    def _resizing(self) -> list[ResizeImages]:
        return [t for t in self.transforms if isinstance(t, ResizeImages)]

    @staticmethod
    def _with_image_sizes(spec: PolicySpec, sizes: Mapping[str, tuple[int, int]]) -> PolicySpec:
        cameras = {
            camera: image_spec(*sizes[camera]) if camera in sizes else image
            for camera, image in spec.cameras.items()
        }
        return replace(spec, cameras=cameras) if sizes else spec

    def to_json(self) -> list[dict[str, Any]]:
        """Configuration of every transform, without statistics."""
        return [transform.to_json() for transform in self.transforms]

    @classmethod
    def from_json(cls, config: Sequence[Mapping[str, Any]], statistics: Statistics) -> Self:
        """Rebuilds a pipeline from `to_json` and the statistics saved beside it.

        Raises:
            ConfigError: If a kind is unknown or statistics are missing.
        """
        transforms: list[Transform] = []
        for entry in config:
            options = dict(entry)
            kind = options.pop("kind")
            if kind not in _KINDS:
                raise UnknownNameError.of("transform", kind, _KINDS)
            transforms.append(_KINDS[kind](statistics, **options))
        return cls(transforms)
