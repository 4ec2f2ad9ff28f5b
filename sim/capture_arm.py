"""The twin as an arm that samples are captured with, in this process."""

import numpy as np
from numpy.typing import NDArray

from calibration.lens import Lens, LensModel
from robot_policy.capture.arm import Picture, Reading
from robot_policy.core.robot import RobotDescription
from sim.envs.robosuite_arm import RobosuiteArm


class TwinCaptureArm:
    """Steps the simulation as fast as it goes; draws only the pictures that are asked for.

    Args:
        arm: With a board in the scene.
        seed: Of the start.
    """

    def __init__(self, arm: RobosuiteArm, *, seed: int) -> None:
        self._arm = arm
        self._arm.reset(seed)
        self._stamp_ns = 0

    @property
    def robot(self) -> RobotDescription:
        """Description of the arm."""
        return self._arm.robot

    def step(self, action: NDArray[np.float32] | None) -> Reading:
        """Executes an action; without one, nothing moves and no time passes."""
        if action is not None:
            self._stamp_ns = self._arm.step(action).observation.stamp_ns
        return Reading(
            stamp_ns=self._stamp_ns,
            joints=self._arm.joint_positions,
            velocities=self._arm.joint_velocities,
            gripper=self._arm.gripper_m,
            base_T_ee=self._arm.ee_pose,
        )

    def picture(self, camera: str, *, not_before_ns: int) -> Picture:
        """Draws what the camera sees now."""
        del not_before_ns  # now is never before
        height, width = self._size(camera)
        return Picture(self._stamp_ns, self._arm.render(camera, height=height, width=width))

    def lens(self, camera: str) -> Lens:
        """Returns the intrinsics of the simulated camera."""
        height, width = self._size(camera)
        K = self._arm.camera_info(camera, height=height, width=width).intrinsics
        linear = [K[0, 0], K[1, 1], K[0, 2], K[1, 2]]
        return Lens(LensModel.PLUMB_BOB, width, height, np.array([*linear, *[0.0] * 5]))

    def close(self) -> None:
        """Releases the simulator."""
        self._arm.close()

    def _size(self, camera: str) -> tuple[int, int]:
        described = self._arm.robot.cameras[camera]
        return described.height, described.width
