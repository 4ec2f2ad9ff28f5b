"""Which pixels of a fixed camera show something that moved: the robot, where nobody walks by."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

FEWEST_IMAGES = 3
"""With fewer, too much of the robot would stand in its own way."""


def moving_pixels(
    depths_m: Sequence[NDArray[np.floating]], *, nearer: float = 0.03
) -> list[NDArray[np.bool_]]:
    """Compares every pixel with the furthest that it ever measured, which is the background.

    Args:
        depths_m: (h, w) each [m], of one camera that stands still; 0 where nothing was measured.
        nearer: How much nearer than the background, as a share of its distance, something else is;
            the noise of depth cameras grows with the distance too.

    Returns:
        (h, w) for each, True where something is in front of the background. Where there are less
        than `FEWEST_IMAGES`, every pixel that was measured.
    """
    measured = [depth > 0.0 for depth in depths_m]
    if len(depths_m) < FEWEST_IMAGES:
        return measured
    background = np.max(np.stack(depths_m), axis=0)
    nearest = background * (1.0 - nearer)
    return [m & (depth < nearest) for m, depth in zip(measured, depths_m, strict=True)]
