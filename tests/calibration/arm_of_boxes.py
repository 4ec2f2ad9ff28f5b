"""A small arm as a URDF, and what a depth camera in front of it measures."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from calibration.depth_refinement import DepthView
from calibration.meshes import Mesh, joined
from calibration.ray_caster import RayCaster
from calibration.urdf import UrdfSurface
from robot_policy.core.geometry import matrix_from_rotvec, transform

URDF = """<robot name="boxes">
  <link name="base"><visual>
    <origin xyz="0 0 0.1"/><geometry><box size="0.16 0.14 0.2"/></geometry></visual></link>
  <link name="upper"><visual>
    <origin xyz="0 0 0.15"/><geometry><box size="0.08 0.10 0.3"/></geometry></visual></link>
  <link name="fore"><visual>
    <origin xyz="0.12 0 0" rpy="0 1.5708 0"/>
    <geometry><cylinder radius="0.04" length="0.24"/></geometry></visual></link>
  <link name="finger"><visual>
    <origin xyz="0.02 0 0"/><geometry><box size="0.06 0.02 0.03"/></geometry></visual></link>
  <joint name="shoulder" type="revolute"><parent link="base"/><child link="upper"/>
    <origin xyz="0 0 0.2" rpy="0 0 0.3"/><axis xyz="0 1 0"/></joint>
  <joint name="elbow" type="revolute"><parent link="upper"/><child link="fore"/>
    <origin xyz="0 0 0.3" rpy="0.2 0.1 -0.4"/><axis xyz="0 0 1"/></joint>
  <joint name="slide" type="prismatic"><parent link="fore"/><child link="finger"/>
    <origin xyz="0.24 0.02 0"/><axis xyz="0 1 0"/></joint>
</robot>
"""

K = np.array([[170.0, 0.0, 79.5], [0.0, 170.0, 59.5], [0.0, 0.0, 1.0]])
HEIGHT, WIDTH = 120, 160


def surface(folder: Path) -> UrdfSurface:
    path = folder / "boxes.urdf"
    path.write_text(URDF)
    return UrdfSurface(path)


def camera(rng: np.random.Generator) -> NDArray[np.floating]:
    """``base_T_camera`` of a camera that looks at the arm."""
    target = np.array([0.1, 0.0, 0.35])
    eye = target + np.array([0.9, *rng.uniform(-0.3, 0.3, 2)])
    z = (target - eye) / np.linalg.norm(target - eye)
    x = np.cross(z, [0.0, 0.0, 1.0])
    x /= np.linalg.norm(x)
    return transform(np.stack([x, np.cross(z, x), z], axis=1), eye)


def scene(*robots: Mesh) -> RayCaster:
    """Robots on a floor before a wall."""
    corners = np.array([[-0.7, -2, -2], [-0.7, 2, -2], [-0.7, 2, 2], [-0.7, -2, 2]], float)
    wall = Mesh(corners, np.array([[0, 1, 2], [0, 2, 3]]))
    corners = np.array([[-2, -2, 0], [2, -2, 0], [2, 2, 0], [-2, 2, 0]], float)
    floor = Mesh(corners, np.array([[0, 1, 2], [0, 2, 3]]))
    return RayCaster(joined([wall, floor, *robots]))


def measured(
    caster: RayCaster,
    base_T_camera: NDArray[np.floating],
    rng: np.random.Generator | None = None,
    *,
    noise_m: float = 0.001,
) -> NDArray[np.float32]:
    """The depth image of a scene, with noise where there is a generator."""
    seen = caster.look(base_T_camera, K, height=HEIGHT, width=WIDTH)
    depth = np.zeros((HEIGHT, WIDTH), dtype=np.float32)
    depth[seen.rows, seen.columns] = seen.depth_m
    if rng is not None:
        depth += (depth > 0) * rng.normal(scale=noise_m, size=depth.shape).astype(np.float32)
    return depth


def views(
    arm: UrdfSurface,
    base_T_camera: NDArray[np.floating],
    rng: np.random.Generator,
    *,
    count: int = 4,
    scale: float = 1.0,
) -> list[DepthView]:
    """The arm in several places."""
    taken = []
    for _ in range(count):
        joints = dict(zip(("shoulder", "elbow", "slide"), rng.uniform(-0.7, 0.7, 3), strict=True))
        robot = arm.posed({**joints, "slide": 0.01})
        depth = measured(scene(robot), base_T_camera, rng)
        taken.append(DepthView(depth * np.float32(scale), K, robot))
    return taken


def displaced(
    pose: NDArray[np.floating], rng: np.random.Generator, *, mm: float, deg: float
) -> NDArray[np.floating]:
    """A pose that far from another, in a random direction."""
    axis, shift = rng.normal(size=3), rng.normal(size=3)
    R = matrix_from_rotvec(np.deg2rad(deg) * axis / np.linalg.norm(axis))
    return transform(R @ pose[:3, :3], pose[:3, 3] + 1e-3 * mm * shift / np.linalg.norm(shift))
