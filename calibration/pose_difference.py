"""How far two poses are apart."""

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.geometry import inverse, rotvec_from_matrix

type Array = NDArray[np.floating]


def pose_difference(a_T_b: Array, a_T_c: Array) -> tuple[float, float]:
    """Returns the distance of the origins of b and c [mm] and the angle between them [deg]."""
    b_T_c = inverse(a_T_b) @ a_T_c
    angle = float(np.linalg.norm(rotvec_from_matrix(b_T_c[:3, :3])))
    return 1e3 * float(np.linalg.norm(b_T_c[:3, 3])), float(np.rad2deg(angle))
