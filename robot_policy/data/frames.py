"""Images of an episode, whether they are in memory or decoded one by one."""

from collections.abc import Iterator
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.errors import DataError


class Frames(Protocol):
    """N images of one size, in order. An array (N, h, w, C) is one; so is what reads a file.

    Iterating again begins again. Nothing that iterates holds more than a few images at a time.
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, h, w, C)."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the pixels: uint8, or uint16 for depth."""
        ...

    def __iter__(self) -> Iterator[NDArray[Any]]:
        """Yields N images (h, w, C)."""
        ...


@runtime_checkable
class FiledFrames(Frames, Protocol):
    """Images that lie in files of their own, which can be copied instead of coded again."""

    def with_files(self) -> Iterator[tuple[NDArray[Any], bytes | None]]:
        """Yields what iterating yields, and the JPEG or PNG file of each, None if it has none."""
        ...


def with_files(frames: Frames) -> Iterator[tuple[NDArray[Any], bytes | None]]:
    """Returns images (h, w, C), and the file of each that can be copied."""
    if isinstance(frames, FiledFrames):
        return frames.with_files()
    return ((image, None) for image in frames)


def load_frames(frames: Frames, *, where: object) -> NDArray[Any]:
    """Returns all images in one array (N, h, w, C).

    Args:
        frames: Images.
        where: Named in the error.

    Raises:
        DataError: If there are fewer images than were promised, or one cannot be decoded.
    """
    if isinstance(frames, np.ndarray):
        return frames
    loaded = np.empty(frames.shape, frames.dtype)
    count = 0
    for image in frames:
        loaded[count] = image
        count += 1
    if count != len(loaded):
        raise DataError("images are missing", where=where, expected=len(loaded), got=count)
    return loaded
