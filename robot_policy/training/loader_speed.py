"""How fast random windows of a video dataset come: ours and lerobot's, the same ones, in turns."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from robot_policy.core.errors import RobotPolicyError
from robot_policy.core.observation import ACTION, STATE, image_key
from robot_policy.data.store import EpisodeStore
from robot_policy.data.windows import WindowDataset, epoch_order
from robot_policy.training.prefetch import Prefetcher

ACTION_IS_PAD = "action_is_pad"
type TensorBatch = Mapping[str, Tensor]
"""``observation.state`` (B, S), ``observation.images.<camera>``, ``action`` (B, H, A) and
``action_is_pad`` (B, H)."""


class Loader(Protocol):
    """Something that loads windows by number."""

    name: str

    def batches(self, order: NDArray[np.int64]) -> Iterator[TensorBatch]:
        """Yields batches of the windows in `order`; whatever it started ends with the iterator."""
        ...


class ImageKind(StrEnum):
    """How images are handed over.

    UINT8: (B, h, w, 3), as this project's networks take them.
    FLOAT32: (B, 3, h, w) in [0, 1], as lerobot's do.
    """

    UINT8 = "uint8"
    FLOAT32 = "float32"


class CachedLoader:
    """Windows gathered from the cache.

    Args:
        store: Opened through the cache.
        cameras: Whose images.
        horizon: H.
        batch_size: B.
        workers: Processes; 0 for a thread.
        images: How images are handed over.
    """

    def __init__(
        self,
        store: EpisodeStore,
        *,
        cameras: tuple[str, ...],
        horizon: int,
        batch_size: int,
        workers: int,
        images: ImageKind,
    ) -> None:
        self.name = f"robot-policy, {images}"
        self._windows = WindowDataset(
            store,
            history=1,
            past=0,
            horizon=horizon,
            cameras=cameras,
            use_environment_state=False,
        )
        self._batch_size = batch_size
        self._workers = workers
        self._images = images

    def batches(self, order: NDArray[np.int64]) -> Iterator[TensorBatch]:
        """See `Loader`."""

        def prepare(number: int) -> dict[str, Any]:
            start = number * self._batch_size % len(order)
            batch = self._windows.batch(order[start : start + self._batch_size])
            return {key: self._one_step(key, x) for key, x in batch.items() if key != "task"}

        prefetcher = Prefetcher(prepare, device=torch.device("cpu"), workers=self._workers)
        with prefetcher:
            for number in range(len(order) // self._batch_size):
                yield {key: self._layout(x) for key, x in prefetcher.get(number).items()}

    def _one_step(self, key: str, values: NDArray[Any]) -> NDArray[Any]:
        if not key.startswith("observation"):
            return values
        values = values[:, 0]
        if self._images == ImageKind.UINT8 or values.dtype != np.uint8:
            return values
        return np.divide(values, 255.0, dtype=np.float32)

    def _layout(self, values: Tensor) -> Tensor:
        if self._images == ImageKind.UINT8 or values.ndim != 4:
            return values
        return values.permute(0, 3, 1, 2)  # in memory still channels last, as convolutions like it


def windows_per_second(
    loaders: Sequence[Loader], *, windows: int, batch_size: int, turns: int, batches: int
) -> list[list[float]]:
    """Draws random windows with each loader in turn, so that a slow spell hits all of them.

    The first batch of a turn is not timed: processes start, files are opened.

    Args:
        loaders: What to compare.
        windows: In the dataset.
        batch_size: B.
        turns: Of each loader.
        batches: Timed per turn.

    Returns:
        Per loader the rate of every turn [1/s].
    """
    rates: list[list[float]] = [[] for _ in loaders]
    for turn in range(turns):
        order = random_order(windows, count=(batches + 1) * batch_size, seed=turn)
        for loader, measured in zip(loaders, rates, strict=True):
            stream = loader.batches(order)
            next(stream)
            start_s = time.perf_counter()
            taken = sum(len(batch[ACTION]) for batch in stream)
            measured.append(taken / (time.perf_counter() - start_s))
    return rates


def random_order(windows: int, *, count: int, seed: int) -> NDArray[np.int64]:
    """`count` windows in random order, none twice before all have come."""
    epochs = range(-(-count // windows))
    return np.concatenate([epoch_order(windows, seed, epoch) for epoch in epochs])[:count]


@dataclass(frozen=True, slots=True)
class Difference:
    """How far the images of two loaders are apart, in levels of 255.

    Attributes:
        windows: Compared.
        mean: Over all pixels of the image that differs the most on average.
        largest: Of any pixel.
    """

    windows: int
    mean: float
    largest: float


def compare(
    one: Loader,
    other: Loader,
    order: NDArray[np.int64],
    *,
    cameras: Sequence[str],
    tolerance: float,
) -> Difference:
    """Checks that two loaders load the same windows; both must hand over the same kind of images.

    States, actions and padding must be equal, images within what two decoders differ.

    Args:
        one: A loader.
        other: Another one.
        order: Windows to compare.
        cameras: Whose images.
        tolerance: Mean difference allowed of an image, in levels of 255.

    Raises:
        RobotPolicyError: If they do not.
    """
    mean = largest = 0.0
    seen = 0
    for a, b in zip(one.batches(order), other.batches(order), strict=True):
        for key in (STATE, ACTION, ACTION_IS_PAD):
            if a[key].shape != b[key].shape or not torch.equal(a[key], b[key]):
                raise RobotPolicyError("the loaders disagree", where=key)
        for camera in cameras:
            x, y = a[image_key(camera)], b[image_key(camera)]
            if x.shape != y.shape or x.dtype != y.dtype:
                raise RobotPolicyError(
                    "the loaders disagree",
                    where=camera,
                    expected=f"{y.dtype} {tuple(y.shape)}",
                    got=f"{x.dtype} {tuple(x.shape)}",
                )
            levels = (x.float() - y.float()).abs() * (255.0 if x.is_floating_point() else 1.0)
            mean = max(mean, levels.flatten(1).mean(1).max().item())
            largest = max(largest, levels.max().item())
        seen += len(a[ACTION])
    if mean > tolerance:
        raise RobotPolicyError(
            "the images of the loaders differ",
            where=f"{one.name} and {other.name}",
            expected=f"at most {tolerance:g} of 255 levels on average",
            got=round(mean, 2),
        )
    return Difference(seen, mean, largest)
