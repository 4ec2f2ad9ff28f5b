"""The robot as surfaces: what a depth camera can be aligned with when there is no board."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.errors import DataError

type Array = NDArray[np.floating]


@dataclass(frozen=True, slots=True, eq=False)
class Mesh:
    """Triangles in the frame of a link.

    Attributes:
        vertices: (V, 3) [m].
        triangles: (F, 3) indices of vertices, counter-clockwise seen from outside.
    """

    vertices: Array
    triangles: NDArray[np.integer]

    def __post_init__(self) -> None:
        if self.vertices.ndim != 2 or self.vertices.shape[1] != 3:
            raise DataError("not vertices", expected="(V, 3)", got=self.vertices.shape)
        if self.triangles.ndim != 2 or self.triangles.shape[1] != 3:
            raise DataError("not triangles", expected="(F, 3)", got=self.triangles.shape)
        if self.triangles.size and not 0 <= self.triangles.min() <= self.triangles.max() < len(
            self.vertices
        ):
            raise DataError("a triangle names a vertex that is not there", where="mesh")

    def moved(self, a_T_b: Array) -> "Mesh":
        """Returns this mesh of frame b in frame a."""
        return Mesh(self.vertices @ a_T_b[:3, :3].T + a_T_b[:3, 3], self.triangles)


def joined(meshes: Sequence[Mesh]) -> Mesh:
    """Makes one mesh of several in the same frame."""
    starts = np.cumsum([0, *(len(m.vertices) for m in meshes)])[:-1]
    return Mesh(
        np.concatenate([m.vertices for m in meshes]) if meshes else np.zeros((0, 3)),
        np.concatenate([m.triangles + s for m, s in zip(meshes, starts, strict=True)])
        if meshes
        else np.zeros((0, 3), dtype=np.int64),
    )


class RobotSurface(Protocol):
    """A robot's links and where they are; a URDF gives one, and so does the twin."""

    def posed(self, joints: Mapping[str, float]) -> Mesh:
        """Returns the surface of the whole arm in its base frame.

        Args:
            joints: Joint name to position, [rad] or [m].

        Raises:
            DataError: If a joint is missing.
        """
        ...
