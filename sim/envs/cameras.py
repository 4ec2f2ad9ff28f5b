"""The cameras of the twin: what they see, where they are, and how to put them elsewhere."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.errors import ConfigError, UnknownNameError
from robot_policy.core.geometry import inverse, quat_from_matrix, transform
from robot_policy.core.robot import RobotDescription
from sim.rendering import CameraInfo, Renderer, camera_intrinsics, camera_pose, optical_frame

_SIMULATOR_NAMES = {"wrist": "robot0_eye_in_hand"}
"""Cameras that the simulator calls otherwise than the robot description."""


class Cameras:
    """Draws one model from its cameras.

    Body poses in the data passed in must be up to date. Camera names are those of the robot
    description, or any other of the simulator.

    Args:
        model: The mujoco.MjModel.
        robot: Description of the arm.
        where: Named in errors.
        shadows: Draw shadows and reflections.
        multisampling: Smooth edges in images.
    """

    def __init__(
        self,
        model: Any,
        robot: RobotDescription,
        *,
        where: str,
        shadows: bool,
        multisampling: bool,
    ) -> None:
        self._model = model
        self._robot = robot
        self._where = where
        self._shadows = shadows
        self._multisampling = multisampling
        self._renderer: Renderer | None = None
        self._indices = {model.camera(i).name: i for i in range(model.ncam)}

    def open(self) -> Renderer:
        """Returns what draws; opened at the first call.

        Raises:
            SimulationError: If nothing can render.
        """
        if self._renderer is None:
            self._renderer = Renderer(
                self._model, shadows=self._shadows, multisampling=self._multisampling
            )
        return self._renderer

    def close(self) -> None:
        """Releases what draws."""
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None

    def index(self, camera: str, *, height: int = 1, width: int = 1) -> int:
        """Returns the simulator's number of a camera.

        Raises:
            UnknownNameError: If there is no such camera.
            ConfigError: If the size asked for is not positive.
        """
        name = _SIMULATOR_NAMES.get(camera, camera)
        if name not in self._indices:
            valid = {*self._robot.cameras, *self._indices}
            raise UnknownNameError.of("camera", camera, valid, where=self._where)
        if height < 1 or width < 1:
            raise ConfigError("an image needs pixels", where=camera, got=f"{height} x {width}")
        return self._indices[name]

    def image(self, data: Any, camera: str, *, height: int, width: int) -> NDArray[np.uint8]:
        """Returns what `camera` sees, (height, width, 3) RGB."""
        index = self.index(camera, height=height, width=width)
        return self.open().render(data, index, height=height, width=width)

    def depth(self, data: Any, camera: str, *, height: int, width: int) -> NDArray[np.float32]:
        """Returns the distances that `camera` sees, (height, width) [m], 0 where nothing is."""
        index = self.index(camera, height=height, width=width)
        return self.open().depth(data, index, height=height, width=width)

    def info(
        self,
        data: Any,
        camera: str,
        *,
        base_T_world: NDArray[np.floating],
        height: int,
        width: int,
    ) -> CameraInfo:
        """Returns the geometry of `camera` for images of that size."""
        index = self.index(camera)
        fovy_rad = float(np.deg2rad(self._model.cam_fovy[index]))
        R = data.cam_xmat[index].reshape(3, 3)
        return CameraInfo(
            height=height,
            width=width,
            intrinsics=camera_intrinsics(fovy_rad, height=height, width=width),
            base_T_camera=base_T_world @ optical_frame(data.cam_xpos[index], R),
        )

    def move(self, data: Any, camera: str, world_T_camera: NDArray[np.floating]) -> None:
        """Puts a camera somewhere else; one on the hand moves along with the hand from there."""
        index = self.index(camera)
        body = self._model.cam_bodyid[index]
        body_T_world = inverse(transform(data.xmat[body].reshape(3, 3), data.xpos[body]))
        position, R = camera_pose(body_T_world @ world_T_camera)
        self._model.cam_pos[index] = position
        self._model.cam_quat[index] = quat_from_matrix(R)
