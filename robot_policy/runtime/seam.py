"""The way from one chunk into the next, such that the arm gets where the new one wants it.

Two chunks that overlap are two paths of targets from where the arm was at the newer observation.
The blend leaves the old path and ends on the new one:

    T(i) = T_old(i) (1 - w_i) + T_new(i) w_i,   w_i from 0 to 1 with zero slope and curvature at
                                                both ends (minimum jerk, Flash and Hogan 1985)

For actions that are targets, T is the action. For actions that are displacements, T is their sum
since that observation, with what was executed meanwhile at its beginning, and the blended actions
are the differences of T. Their sum thus makes up for what the old chunk did otherwise than the
new one wanted while it was planned. Blending the displacements themselves would not: the arm would
follow the new path beside it. Orientations are blended along the shortest rotation.

Where the old chunk ends before the blend does, its path goes on at the same distance from the new
one. A short blend is a jerk, and the shorter the longer the plan took, because less of the old
chunk is left.
"""

from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.geometry import matrix_from_rotvec, rotvec_from_matrix
from robot_policy.core.specs import ActionSpace

type Actions = NDArray[np.float32]
type Array = NDArray[np.floating[Any]]


def blended(
    chunk: Actions, *, executed: Actions, old: Actions, steps: int, space: ActionSpace
) -> Actions:
    """Returns `chunk` (H, A) with the first actions from now on blended.

    Args:
        chunk: (H, A) the new one, from its observation on.
        executed: (I, A) executed since that observation.
        old: (R, A) what the old chunk would do from now on.
        steps: Of the blend; fewer where the new chunk ends earlier, and none where there is nothing
            to come from.
        space: Meaning of the actions.
    """
    now = len(executed)
    end = min(now + steps, len(chunk))
    path = np.concatenate([executed, old])[:end]
    steps = end - now
    if steps < 1 or not len(path):
        return chunk
    after = _Targets.of(chunk[:end], space)
    before = _Targets.of(path, space).beside(after)
    weights = np.concatenate([np.zeros(now), _minimum_jerk(steps)])
    way = before.towards(after, weights).actions(space)
    return np.concatenate([chunk[:now], way[now:].astype(np.float32), chunk[end:]])


def _minimum_jerk(steps: int) -> Array:
    """Weights (steps,) whose last one is 1."""
    s = np.arange(1, steps + 1) / steps
    return s**3 * (10 - 15 * s + 6 * s**2)


@dataclass(frozen=True, slots=True)
class _Targets:
    """A path: positions or joints (L, D), rotations (L, 3, 3) if there are any, gripper (L,)."""

    linear: Array
    R: Array | None
    gripper: Array

    @classmethod
    def of(cls, actions: Actions, space: ActionSpace) -> Self:
        """Path of actions (L, A); of displacements it begins at zero."""
        values = actions.astype(np.float64)
        linear, rotvec, gripper = _split(values, space)
        turns = None if rotvec is None else matrix_from_rotvec(rotvec)
        if space.is_delta:
            linear = np.cumsum(linear, axis=0)
            turns = None if turns is None else _products(turns)
        return cls(linear, turns, gripper)

    def beside(self, other: Self) -> Self:
        """Goes on at the distance it ends at, for as long as `other` does; grippers have none."""
        count = len(self.linear)
        last, rest = count - 1, slice(count, None)
        linear = other.linear[rest] + (self.linear[last] - other.linear[last])
        turned = None
        if self.R is not None and other.R is not None:
            turned = self.R[last] @ other.R[last].T @ other.R[rest]
            turned = np.concatenate([self.R, turned])
        return type(self)(
            np.concatenate([self.linear, linear]),
            turned,
            np.concatenate([self.gripper, other.gripper[rest]]),
        )

    def towards(self, other: Self, weights: Array) -> Self:
        """Goes the fraction `weights` (L,) of the way to `other`."""
        w = weights[:, None]
        turned = None
        if self.R is not None and other.R is not None:
            way = rotvec_from_matrix(other.R @ np.swapaxes(self.R, -1, -2))
            turned = matrix_from_rotvec(w * way) @ self.R
        return type(self)(
            self.linear + w * (other.linear - self.linear),
            turned,
            self.gripper + weights * (other.gripper - self.gripper),
        )

    def actions(self, space: ActionSpace) -> Array:
        """Inverse of `of`, (L, A)."""
        linear, turns = self.linear, self.R
        if space.is_delta:
            linear = np.diff(linear, axis=0, prepend=0.0)
            if turns is not None:
                before = np.concatenate([np.eye(3)[None], turns[:-1]])
                turns = turns @ np.swapaxes(before, -1, -2)
        rotvec = [] if turns is None else [rotvec_from_matrix(turns)]
        return np.concatenate([linear, *rotvec, self.gripper[:, None]], axis=1)


def _products(turns: Array) -> Array:
    """Orientation after each of the rotations (L, 3, 3) about fixed axes."""
    return np.stack(list(accumulate(turns, lambda before, turn: turn @ before)))


def _split(values: Array, space: ActionSpace) -> tuple[Array, Array | None, Array]:
    if space in (ActionSpace.EE_DELTA_POSE, ActionSpace.EE_POSE):
        return values[:, :3], values[:, 3:6], values[:, -1]
    return values[:, :-1], None, values[:, -1]
