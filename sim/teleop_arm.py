"""The twin as an arm that is driven by hand, in this process."""

import time

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.observation import Observation
from robot_policy.core.robot import RobotDescription
from robot_policy.core.specs import PolicySpec
from robot_policy.teleop.arm import View
from sim.envs.robosuite_arm import RobosuiteArm

_LOOK_S = 0.12
"""Time between two pictures that are drawn for a person only, of one camera [s]."""


class TwinTeleopArm:
    """Steps the simulation once per command. Pictures for the person are drawn now and then.

    Args:
        arm: Endless.
        start: Number of the first start, the seed.
        shown: Cameras to look through; those that are recorded are shown as recorded.
        shown_size: (height, width) of the pictures of the others [px].
    """

    def __init__(
        self,
        arm: RobosuiteArm,
        *,
        start: int = 0,
        shown: tuple[str, ...] = (),
        shown_size: tuple[int, int] = (240, 320),
    ) -> None:
        self._arm = arm
        self._size = shown_size
        self._drawn_s: dict[str, float] = dict.fromkeys(shown, -np.inf)
        self._drawn: dict[str, NDArray[np.uint8]] = {}
        self.can_reset = True
        self.reset(start)

    @property
    def robot(self) -> RobotDescription:
        """Its description."""
        return self._arm.robot

    @property
    def spec(self) -> PolicySpec:
        """Of what its observations hold."""
        return self._arm.spec

    @property
    def shown(self) -> tuple[str, ...]:
        """See `TeleopArm.shown`."""
        return (*self._arm.spec.cameras, *self._drawn_s)

    @property
    def solved(self) -> bool:
        """Whether the goal holds, and has held long enough."""
        return self._solved

    def observe(self) -> tuple[Observation | None, str]:
        """See `TeleopArm.observe`."""
        return self._observation, ""

    def send(self, action: NDArray[np.float32]) -> None:
        """Executes an action for one control period."""
        step = self._arm.step(action)
        self._observation, self._solved = step.observation, step.success

    def reset(self, start: int) -> None:
        """See `TeleopArm.reset`."""
        self._observation: Observation = self._arm.reset(start)
        self._solved = False
        self._drawn_s = dict.fromkeys(self._drawn_s, -np.inf)

    def picture(self, camera: str) -> NDArray[np.uint8] | None:
        """See `TeleopArm.picture`; at most one camera is drawn in a call."""
        recorded = self._observation.images.get(camera)
        if recorded is not None:
            return recorded
        now_s = time.monotonic()
        if now_s - self._drawn_s.get(camera, np.inf) > _LOOK_S:
            height, width = self._size
            self._drawn[camera] = self._arm.render(camera, height=height, width=width)
            # From the end, so that drawing never takes all of the time.
            self._drawn_s[camera] = time.monotonic()
        return self._drawn.get(camera)

    def view(self, camera: str) -> View | None:
        """See `TeleopArm.view`."""
        height, width = self._size
        if camera in self._observation.images:
            height, width = self._observation.images[camera].shape[:2]
        info = self._arm.camera_info(camera, height=height, width=width)
        return View(info.base_T_camera, info.intrinsics, height, width)

    def close(self) -> None:
        """Releases the simulator."""
        self._arm.close()
