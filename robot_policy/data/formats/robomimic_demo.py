"""What one demonstration of an HDF5 file says about itself, checked."""

import h5py
import numpy as np

from robot_policy.core.errors import DataError


def num_samples(demo: h5py.Group, *, where: object) -> int:
    """Returns the number of frames that a demonstration says it has.

    Raises:
        DataError: If it does not say, or it is not a number.
    """
    count = demo.attrs.get("num_samples")
    if not isinstance(count, int | np.integer) or count < 1:
        raise DataError("num_samples is not a number of frames", where=where, got=count)
    return int(count)


def check_shape(data: h5py.Dataset, shape: tuple[int, ...], *, where: object) -> None:
    """Checks a dataset before anything is allocated for it.

    Raises:
        DataError: If it has another shape.
    """
    if data.shape != shape:
        raise DataError(
            "wrong shape", where=f"{where}, {data.name}", expected=shape, got=data.shape
        )
