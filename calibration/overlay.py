"""Pictures that show at a glance whether a calibration is right."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from calibration.meshes import Mesh
from calibration.ray_caster import RayCaster

type Array = NDArray[np.floating]
type Rgb = NDArray[np.uint8]

GOOD = (40, 220, 90)
BAD = (235, 60, 60)
_WIDTH_PX = 3
_LARGEST_MM = 10.0


def robot_outline(
    mesh: Mesh, base_T_camera: Array, intrinsics: Array, *, height: int, width: int
) -> NDArray[np.bool_]:
    """Returns the pixels (height, width) on the outline of a robot, and on edges inside it."""
    seen = RayCaster(mesh).look(base_T_camera, intrinsics, height=height, width=width)
    depth = np.zeros((height, width), dtype=np.float32)
    depth[seen.rows, seen.columns] = seen.depth_m
    covered = (depth > 0.0).astype(np.uint8)
    outline = covered != cv2.erode(covered, np.ones((_WIDTH_PX, _WIDTH_PX), np.uint8))
    # A step of some centimetres in depth is where one link is in front of another.
    step = np.abs(cv2.Laplacian(depth, cv2.CV_32F))
    return outline | ((step > 0.05) & (covered > 0))


def draw_robot(
    image: Rgb,
    mesh: Mesh,
    poses: Sequence[tuple[Array, tuple[int, int, int]]],
    intrinsics: Array,
) -> Rgb:
    """Draws the robot's outline as cameras at several poses would see it.

    Args:
        image: (h, w, 3), left as it is.
        mesh: Surface of the robot, base frame.
        poses: ``base_T_camera`` with the colour of its outline, the last on top.
        intrinsics: (3, 3) [px].
    """
    drawn = image.copy()
    height, width = image.shape[:2]
    for pose, colour in poses:
        outline = robot_outline(mesh, pose, intrinsics, height=height, width=width)
        drawn[outline] = colour
    return drawn


def draw_distances(
    depth_m: NDArray[np.floating], mesh: Mesh, base_T_camera: Array, intrinsics: Array
) -> Rgb:
    """Colours every pixel that should show the robot by how far off it is measured.

    Green is 0 mm, red 10 mm or more, nearer or further; black is not the robot, grey was not
    measured.
    """
    height, width = depth_m.shape
    seen = RayCaster(mesh).look(base_T_camera, intrinsics, height=height, width=width)
    measured = depth_m[seen.rows, seen.columns]
    off = np.clip(1e3 * np.abs(measured - seen.depth_m) / _LARGEST_MM, 0.0, 1.0)[:, None]
    colours = (1.0 - off) * np.array(GOOD) + off * np.array(BAD)
    colours[measured <= 0.0] = 110.0
    drawn = np.zeros((height, width, 3), dtype=np.uint8)
    drawn[seen.rows, seen.columns] = colours.astype(np.uint8)
    return drawn


def depth_picture(depth_m: NDArray[np.floating]) -> Rgb:
    """A depth image as grey values, near is bright, for cameras without colour."""
    measured = depth_m > 0.0
    if not measured.any():
        return np.zeros((*depth_m.shape, 3), dtype=np.uint8)
    near, far = np.percentile(depth_m[measured], (2.0, 98.0))
    grey = np.clip((far - depth_m) / max(far - near, 1e-6), 0.0, 1.0) * 200.0 + 40.0
    return np.repeat(np.where(measured, grey, 0.0)[..., None], 3, axis=2).astype(np.uint8)
