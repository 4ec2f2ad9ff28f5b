"""Observations of recorded simulator states, made in the twin."""

from collections.abc import Collection, Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.errors import UnknownNameError
from robot_policy.core.observation import Observation
from robot_policy.core.specs import PolicySpec
from sim.registry import make_environment


class TwinRenderer:
    """Sees what the twin would have seen; see `StateRenderer`.

    Args:
        task: Name of the task that was recorded.
        robot: Name or path of a robot description.
        cameras: Cameras whose images observations carry.
        image_size: (height, width) of the images [px]; as the description says if None.

    Raises:
        UnknownNameError: If the task, the robot or a camera is unknown.
        SimulationError: If the simulator is missing, or nothing can render.
    """

    def __init__(
        self,
        task: str,
        *,
        robot: str = "panda_twin",
        cameras: tuple[str, ...] = (),
        image_size: tuple[int, int] | None = None,
    ) -> None:
        self._arm = make_environment(task, robot=robot, cameras=cameras, image_size=image_size)
        self._loaded: str | None = None

    @property
    def spec(self) -> PolicySpec:
        """What the observations hold."""
        return self._arm.spec

    def observations(
        self, states: NDArray[np.floating], *, model: str | None, cameras: Collection[str]
    ) -> Iterator[Observation]:
        """Yields what is observed in each of the states.

        Args:
            states: (T, D) flattened states of the simulator.
            model: XML of the scene that they belong to; the twin's own if None.
            cameras: Whose images to render.

        Raises:
            UnknownNameError: If there is no such camera.
            SimulationError: If scene or states are of another task.
        """
        known = self._arm.spec.cameras
        for camera in cameras:
            if camera not in known:
                raise UnknownNameError.of("camera", camera, known)
        if model is not None and model != self._loaded:
            self._arm.load_model(model)
            self._loaded = model
        for state in states:
            self._arm.restore(state)
            seen = self._arm.observe_without_images()
            images = {
                camera: self._arm.render(
                    camera, height=known[camera].shape[0], width=known[camera].shape[1]
                )
                for camera in cameras
            }
            yield replace(seen, images=images)

    def close(self) -> None:
        """Releases the simulator."""
        self._arm.close()
