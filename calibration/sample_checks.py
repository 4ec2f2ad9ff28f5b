"""What is usually wrong with recorded samples, said before anything is computed from them."""

from collections.abc import Sequence

import numpy as np

from calibration.samples import Sample
from robot_policy.core.errors import DataError

_TWO_TURNS_RAD = 4 * np.pi
_APART_S = 1.0


def check_joint_units(samples: Sequence[Sample], *, where: object) -> None:
    """Refuses joints that turn further than arms do.

    Raises:
        DataError: Names the joint.
    """
    largest: dict[str, float] = {}
    for sample in samples:
        for name, value in sample.joints.items():
            largest[name] = max(largest.get(name, 0.0), abs(value))
    if largest and max(largest.values()) > _TWO_TURNS_RAD:
        name = max(largest, key=largest.__getitem__)
        raise DataError(
            f"joint {name!r} is turned by more than two turns",
            where=where,
            expected="radians",
            got=f"{largest[name]:.4g}",
            hint="positions in degrees?",
        )


def check_clocks(samples: Sequence[Sample], *, where: object) -> None:
    """Refuses pictures whose joints were read long before or after, by their stamps.

    Raises:
        DataError: If the stamps of most samples are more than a second apart.
    """
    apart_s = [(s.pose_stamp_ns - s.stamp_ns) * 1e-9 for s in samples if s.images]
    if apart_s and abs(float(np.median(apart_s))) > _APART_S:
        raise DataError(
            "pictures and joints were stamped by different clocks",
            where=where,
            expected=f"less than {_APART_S:g} s apart",
            got=f"{float(np.median(apart_s)):.4g} s",
            hint="one of them counts from the start of the machine, or from another machine's "
            "time; `calibrate time-offset` measures small differences",
        )
