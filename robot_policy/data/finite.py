"""The check that keeps NaN and infinity out of datasets and out of training."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.errors import DataError


def require_finite(
    values: NDArray[np.floating], *, where: object, feature: str, names: Sequence[str] = ()
) -> None:
    """Checks one feature of one episode.

    Args:
        values: (T, D) or (T,).
        where: File and episode, named in the error.
        feature: Dataset key, named in the error.
        names: Of the D entries, if they have any.

    Raises:
        DataError: If a value is NaN or infinite; names the first one's frame and entry.
    """
    if np.isfinite(values).all():
        return
    bad = np.argwhere(~np.isfinite(values))[0]
    entry = ""
    if len(bad) > 1:
        entry = f" ({names[bad[1]]})" if len(names) else f" (entry {bad[1]})"
    raise DataError(
        f"{feature}{entry} is not finite at frame {bad[0]}", where=where, got=values[tuple(bad)]
    )
