"""Pictures of the twin, and the geometry of its cameras."""

import atexit
import functools
import importlib
import os
import subprocess
import sys
import weakref
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.errors import SimulationError, UnknownNameError
from robot_policy.core.geometry import transform

_BACKENDS = ("egl", "osmesa")
VISUAL_GEOMETRY = 1
"""Group of the geoms that robosuite means to be seen; group 0 holds collision shapes."""

# MuJoCo's camera looks along -z with y up; an optical frame looks along z with y down.
_CAMERA_R_OPTICAL = np.diag([1.0, -1.0, -1.0])


@dataclass(frozen=True, slots=True, eq=False)
class CameraInfo:
    """A pinhole camera without distortion.

    Attributes:
        height: [px].
        width: [px].
        intrinsics: (3, 3) camera matrix [px]; pixel centres have integer coordinates.
        base_T_camera: (4, 4) from the optical frame (x right, y down, z forward) to the robot's
            base frame [m].
    """

    height: int
    width: int
    intrinsics: NDArray[np.floating]
    base_T_camera: NDArray[np.floating]


def camera_intrinsics(fovy_rad: float, *, height: int, width: int) -> NDArray[np.float64]:
    """(3, 3) camera matrix of a camera with square pixels and a vertical field of view."""
    focal = 0.5 * height / np.tan(0.5 * fovy_rad)
    return np.array(
        [[focal, 0.0, (width - 1) / 2], [0.0, focal, (height - 1) / 2], [0.0, 0.0, 1.0]]
    )


def optical_frame(position: NDArray[np.floating], R: NDArray[np.floating]) -> NDArray[np.floating]:
    """``world_T_camera`` of the optical frame, out of a MuJoCo camera's pose in the world."""
    return transform(R @ _CAMERA_R_OPTICAL, position)


def camera_pose(
    world_T_camera: NDArray[np.floating],
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Inverse of `optical_frame`: position and rotation of MuJoCo's camera."""
    return world_T_camera[:3, 3], world_T_camera[:3, :3] @ _CAMERA_R_OPTICAL


class Renderer:
    """Draws one model off screen.

    Args:
        model: The mujoco.MjModel.
        shadows: Draw shadows and reflections; without a GPU they double the time.
        multisampling: Smooth edges; likewise.

    Raises:
        SimulationError: If neither EGL nor OSMesa works.
    """

    def __init__(self, model: Any, *, shadows: bool, multisampling: bool) -> None:
        mujoco = self._mujoco = cast(Any, importlib.import_module("mujoco"))
        self._model = model
        if not shadows:
            model.vis.quality.shadowsize = 0
        if not multisampling:
            model.vis.quality.offsamples = 0
        self._context = _open_context(choose_backend())
        self._scene = mujoco.MjvScene(model, maxgeom=2000)
        for flag in (mujoco.mjtRndFlag.mjRND_SHADOW, mujoco.mjtRndFlag.mjRND_REFLECTION):
            self._scene.flags[flag] = shadows
        self._option = mujoco.MjvOption()
        self._option.geomgroup[:] = 0
        self._option.geomgroup[VISUAL_GEOMETRY] = 1
        self._camera = mujoco.MjvCamera()
        self._camera.type = mujoco.mjtCamera.mjCAMERA_FIXED
        self._framebuffer = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_100)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self._framebuffer)
        # Registered after the context, hence run before EGL shuts down, which would complain.
        self._at_exit = functools.partial(_close_if_alive, weakref.ref(self))
        atexit.register(self._at_exit)

    def render(self, data: Any, camera: int, *, height: int, width: int) -> NDArray[np.uint8]:
        """Returns (height, width, 3) RGB as the camera with that index sees `data`."""
        image = np.empty((height, width, 3), dtype=np.uint8)
        self._mujoco.mjr_readPixels(
            image, None, self._draw(data, camera, height, width), self._framebuffer
        )
        return np.ascontiguousarray(image[::-1])  # OpenGL counts rows from below

    def depth(self, data: Any, camera: int, *, height: int, width: int) -> NDArray[np.float32]:
        """Returns (height, width) the distance along the optical axis [m], 0 where nothing is.

        The buffer holds b = far (z - near) / (z (far - near)) of the distance z.
        """
        buffer = np.empty((height, width), dtype=np.float32)
        self._mujoco.mjr_readPixels(
            None, buffer, self._draw(data, camera, height, width), self._framebuffer
        )
        extent, planes = self._model.stat.extent, self._model.vis.map
        near, far = planes.znear * extent, planes.zfar * extent
        distance = near / (1.0 - buffer[::-1] * (1.0 - near / far))
        return np.where(buffer[::-1] < 1.0, distance, 0.0).astype(np.float32)

    def _draw(self, data: Any, camera: int, height: int, width: int) -> Any:
        """Draws what the camera sees into the buffer, and returns the part it covers."""
        mujoco = self._mujoco
        self._context.make_current()  # another environment may have drawn since
        if height > self._framebuffer.offHeight or width > self._framebuffer.offWidth:
            mujoco.mjr_resizeOffscreen(
                max(width, self._framebuffer.offWidth),
                max(height, self._framebuffer.offHeight),
                self._framebuffer,
            )
        self._camera.fixedcamid = camera
        mujoco.mjv_updateScene(
            self._model,
            data,
            self._option,
            None,
            self._camera,
            mujoco.mjtCatBit.mjCAT_ALL,
            self._scene,
        )
        viewport = mujoco.MjrRect(0, 0, width, height)
        mujoco.mjr_render(viewport, self._scene, self._framebuffer)
        return viewport

    def close(self) -> None:
        """Frees the OpenGL context."""
        atexit.unregister(self._at_exit)
        self._context.make_current()
        self._framebuffer.free()
        self._context.free()


def _close_if_alive(renderer: "weakref.ref[Renderer]") -> None:
    alive = renderer()
    if alive is not None:
        alive.close()


def choose_backend() -> str:
    """Returns the value of MUJOCO_GL, or else the first of EGL and OSMesa that works.

    The choice is left in MUJOCO_GL, so that child processes need not try again.

    Raises:
        UnknownNameError: If MUJOCO_GL names no off-screen backend.
        SimulationError: If neither works.
    """
    asked = os.environ.get("MUJOCO_GL", "").lower().strip()
    if asked:
        if asked not in _BACKENDS:
            raise UnknownNameError.of("off-screen renderer", asked, _BACKENDS, where="MUJOCO_GL")
        return asked
    for backend in _BACKENDS:
        if _works(backend):
            os.environ["MUJOCO_GL"] = backend
            return backend
    raise SimulationError(
        "no camera can be rendered: neither EGL nor OSMesa works",
        where="MUJOCO_GL",
        hint="install libegl1 and libgl1-mesa-dri, or libosmesa6, or go without cameras",
    )


def _works(backend: str) -> bool:
    """Tries a backend in a process of its own: one that failed spoils the process it failed in."""
    script = (
        f"from mujoco.{backend} import GLContext\n"
        "context = GLContext(8, 8)\n"
        "context.make_current()\n"
        "context.free()\n"
    )
    environment = {**os.environ, "MUJOCO_GL": "disable"}
    environment.pop("PYOPENGL_PLATFORM", None)
    result = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, check=False
    )
    return result.returncode == 0


def _open_context(backend: str) -> Any:
    try:
        # MuJoCo's own choice was made, and turned off, when it was imported.
        kind = importlib.import_module(f"mujoco.{backend}").GLContext
        kind._context = None  # one that could not be made would complain when it is deleted
        context = kind(640, 480)
        context.make_current()
    except Exception as error:  # drivers and PyOpenGL raise anything
        raise SimulationError(
            f"no camera can be rendered with {backend!r}",
            where="MUJOCO_GL",
            got=f"{type(error).__name__}: {error}",
            hint="install libegl1 and libgl1-mesa-dri for egl, libosmesa6 for osmesa",
        ) from error
    return context
