"""What a camera would see of a mesh: Open3D's ray casting behind the few calls that are needed."""

import importlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibration.depth_image import rays_of
from calibration.meshes import Mesh

type Array = NDArray[np.floating]


@dataclass(frozen=True, slots=True, eq=False)
class SeenSurface:
    """The part of a surface that a camera sees, one entry per pixel looked at.

    Attributes:
        rows: (N,) of the pixels that hit it.
        columns: (N,) likewise.
        depth_m: (N,) distance along the optical axis.
        xyz: (N, 3) points in the frame of the mesh [m].
        normals: (N, 3) of length 1, in the frame of the mesh, towards the camera.
    """

    rows: NDArray[np.intp]
    columns: NDArray[np.intp]
    depth_m: Array
    xyz: Array
    normals: Array

    def __len__(self) -> int:
        return len(self.rows)


class RayCaster:
    """A mesh, ready to be looked at from anywhere.

    Args:
        mesh: In any frame, called base below.
    """

    def __init__(self, mesh: Mesh) -> None:
        # Takes over a second, and is an optional extra.
        o3d: Any = importlib.import_module("open3d")
        self._core: Any = o3d.core
        self._scene: Any = o3d.t.geometry.RaycastingScene(nthreads=1)
        self._scene.add_triangles(
            o3d.core.Tensor(mesh.vertices.astype(np.float32)),
            o3d.core.Tensor(mesh.triangles.astype(np.uint32)),
        )

    def look(
        self,
        base_T_camera: Array,
        intrinsics: Array,
        *,
        height: int,
        width: int,
        step: int = 1,
    ) -> SeenSurface:
        """Returns what a camera at `base_T_camera` sees.

        Args:
            base_T_camera: (4, 4), optical frame.
            intrinsics: (3, 3) [px].
            height: [px].
            width: [px].
            step: Look at every so many-th row and column.
        """
        first = (step - 1) // 2
        rows, columns = np.meshgrid(
            np.arange(first, height, step), np.arange(first, width, step), indexing="ij"
        )
        rows, columns = rows.ravel(), columns.ravel()
        directions = rays_of(rows, columns, intrinsics) @ base_T_camera[:3, :3].T
        origins = np.broadcast_to(base_T_camera[:3, 3], directions.shape)
        rays = np.concatenate([origins, directions], axis=1).astype(np.float32)
        hits = self._scene.cast_rays(self._core.Tensor(rays), nthreads=1)
        depth = hits["t_hit"].numpy().astype(np.float64)  # the directions have z = 1
        hit = np.isfinite(depth)
        depth, directions = depth[hit], directions[hit]
        normals = hits["primitive_normals"].numpy()[hit].astype(np.float64)
        away = np.einsum("ij,ij->i", normals, directions) > 0.0
        normals[away] *= -1.0
        return SeenSurface(
            rows=rows[hit],
            columns=columns[hit],
            depth_m=depth,
            xyz=base_T_camera[:3, 3] + directions * depth[:, None],
            normals=normals,
        )

    def distance(self, xyz: Array) -> Array:
        """(N,) distance of points (N, 3) from the surface [m]."""
        query = self._core.Tensor(np.ascontiguousarray(xyz, dtype=np.float32))
        return self._scene.compute_distance(query, nthreads=1).numpy().astype(np.float64)
