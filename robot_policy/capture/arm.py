"""An arm that samples are captured with, wherever it is: in the twin, or behind topics."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from calibration.lens import Lens
from robot_policy.core.robot import RobotDescription

type Array = NDArray[np.floating]


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """What an arm says of itself at one moment.

    Attributes:
        stamp_ns: When it was measured [ns].
        joints: (J,) in the order of the description [rad].
        velocities: (J,) [rad/s]; None where the arm does not tell.
        gripper: Position of the gripper's joint, in its own unit.
        base_T_ee: (4, 4) [m].
    """

    stamp_ns: int
    joints: Array
    velocities: Array | None
    gripper: float
    base_T_ee: Array

    def state(self, robot: RobotDescription) -> NDArray[np.float32]:
        """Returns the state vector (S,) that the limits are asked about."""
        return robot.proprioception(
            joint_positions=self.joints,
            gripper_m=self.gripper,
            ee_position=self.base_T_ee[:3, 3],
            base_R_ee=self.base_T_ee[:3, :3],
        )


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A picture (h, w, 3) RGB and when it was exposed [ns]."""

    stamp_ns: int
    pixels: NDArray[np.uint8]


class CaptureArm(Protocol):
    """An arm and its cameras."""

    def step(self, action: NDArray[np.float32] | None) -> Reading:
        """Sends an action (A,), nothing if None, and returns the reading a control period later.

        Raises:
            RobotPolicyError: If nothing is heard of the arm.
        """
        ...

    def picture(self, camera: str, *, not_before_ns: int) -> Picture:
        """Returns a picture exposed at `not_before_ns` [ns] or later.

        Raises:
            RobotPolicyError: If none comes.
        """
        ...

    def lens(self, camera: str) -> Lens | None:
        """Returns the intrinsics that the camera itself states, None if it states none."""
        ...
