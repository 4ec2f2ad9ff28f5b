"""Whether the motions of an arm can determine a hand-eye calibration at all.

Two poses that differ by a rotation R tell nothing about a shift v with R v = v: a shift along the
axis they turn about. Over all pairs, the mean of (I - R)^T (I - R) has the direction that is seen
worst as its smallest eigenvector, and the root of its eigenvalue is the chord 2 sin(angle / 2) of a
typical turn about axes across that direction. The same turns determine the camera's orientation
(Tsai and Lenz 1989), so one number tells both.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calibration.hand_eye.data import Mounting
from robot_policy.core.errors import DataError

type Array = NDArray[np.floating]

MINIMUM_POSES = 5
"""Two motions determine the answer; five poses leave something to check it by."""
_SMALLEST_TURN_DEG = 3.0
_GOOD_TURN_DEG = 25.0


@dataclass(frozen=True, slots=True)
class Diversity:
    """How much a set of poses turns the gripper.

    Attributes:
        weakest_turn_deg: Typical turn about axes across `axis` [deg].
        largest_turn_deg: Typical turn in the best case [deg].
        axis: (3,) the direction that is seen worst, in `frame`.
        frame: Frame the camera is fixed to, ``gripper`` or ``base``.
    """

    weakest_turn_deg: float
    largest_turn_deg: float
    axis: Array
    frame: str

    @property
    def score(self) -> float:
        """0, nothing can be determined, to 1, more turning helps little."""
        return min(1.0, self.weakest_turn_deg / _GOOD_TURN_DEG)


def diversity(mounting: Mounting, base_T_gripper: Array) -> Diversity:
    """Measures poses (n, 4, 4), n >= 2."""
    G = mounting.seen_through(base_T_gripper)[:, :3, :3]
    i, j = np.triu_indices(len(G), k=1)
    chords = np.eye(3) - G[i] @ np.swapaxes(G[j], -1, -2)
    values, vectors = np.linalg.eigh(np.einsum("nki,nkj->ij", chords, chords) / len(i))
    axis = vectors[:, 0] * np.sign(vectors[np.abs(vectors[:, 0]).argmax(), 0])
    weakest, _, largest = (_turn_deg(value) for value in values)
    return Diversity(weakest, largest, axis, mounting.camera_parent)


def require_diverse(
    mounting: Mounting, base_T_gripper: Array, *, where: object = None
) -> Diversity:
    """Refuses poses that cannot determine the answer.

    Raises:
        DataError: Says which motion is missing.
    """
    count = len(base_T_gripper)
    if count < MINIMUM_POSES:
        raise DataError(
            "too few poses with the board in sight",
            where=where,
            expected=f"at least {MINIMUM_POSES}, better 15 to 25",
            got=count,
        )
    found = diversity(mounting, base_T_gripper)
    if found.largest_turn_deg < _SMALLEST_TURN_DEG:
        raise DataError(
            "the gripper hardly turns between the poses, which cannot determine the answer",
            where=where,
            expected="turns of 30 degrees and more, about two axes",
            got=f"{found.largest_turn_deg:.1f} degrees",
            hint="moving without turning does not count",
        )
    if found.weakest_turn_deg < _SMALLEST_TURN_DEG:
        raise DataError(
            f"all turns are about one axis, {_words(found.axis)} of the {found.frame}: "
            "shifts along it cannot be told",
            where=where,
            expected="turns of 30 degrees and more about a second axis",
            got=f"{found.weakest_turn_deg:.1f} degrees",
            hint=f"add poses turned about {across(found.axis)} of the {found.frame}",
        )
    return found


def across(axis: Array) -> str:
    """Names the two frame axes that lie most across `axis` (3,)."""
    order = np.argsort(np.abs(axis))
    return f"{'xyz'[order[0]]} and {'xyz'[order[1]]}"


def _turn_deg(eigenvalue: float) -> float:
    return float(np.rad2deg(2 * np.arcsin(min(np.sqrt(max(eigenvalue, 0.0)) / 2, 1.0))))


def _words(axis: Array) -> str:
    """``z`` for an axis near z, numbers otherwise."""
    k = int(np.abs(axis).argmax())
    if abs(axis[k]) > 0.97:
        return "xyz"[k]
    return "(" + ", ".join(f"{value:.2f}" for value in axis) + ")"
