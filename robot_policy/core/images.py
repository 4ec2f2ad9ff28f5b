"""Images brought to the size a network was trained on, the same way in training and on the arm."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

RESIZING = "area"
"""Name of what `resize` does; files made with it carry the name, so that another way of resizing
would be noticed."""


def resize(images: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Averages over the area of the image that each new pixel covers.

    Aliases nothing when it shrinks, and gives back what it was given where nothing is to do.

    Args:
        images: (..., h, w, C).
        size: (height, width) wanted [px], each at least 1.

    Returns:
        (..., height, width, C) uint8.
    """
    height, width, channels = images.shape[-3:]
    if (height, width) == size:
        return images
    leading = images.shape[:-3]
    rows = images.reshape(-1, height, width * channels).astype(np.float32)
    rows = _coverage(height, size[0]) @ rows  # (B, H, w * C)
    pixels = _coverage(width, size[1]) @ rows.reshape(-1, width, channels)  # (B * H, W, C)
    # Halves up; sums of the weights may exceed 1 in the last place.
    rounded = np.minimum(np.floor(pixels + 0.5), 255.0).astype(np.uint8)
    return rounded.reshape(*leading, *size, channels)


@lru_cache(maxsize=32)
def _coverage(before: int, after: int) -> NDArray[np.float32]:
    """(after, before): which share of new pixel i old pixel j covers; rows sum to 1."""
    scale = before / after
    edges = np.arange(after + 1) * scale
    old = np.arange(before)
    left = np.maximum(edges[:-1, None], old)
    right = np.minimum(edges[1:, None], old + 1)
    weights = (np.maximum(right - left, 0.0) / scale).astype(np.float32)
    weights.setflags(write=False)
    return weights
