"""An arm that does at once what it is told, with a camera that sees how far it went."""

import time

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.observation import Observation
from robot_policy.core.robot import load_robot
from robot_policy.core.specs import PolicySpec
from robot_policy.teleop.arm import View

REST = np.array([0.0, 0.2, 0.0, -2.2, 0.0, 2.4, 0.8])


class DrivenArm:
    """The Panda by its kinematics alone: no simulator.

    Args:
        cameras: Names of those that are recorded.
    """

    solved = None
    can_reset = True

    def __init__(self, *cameras: str) -> None:
        self.robot = load_robot("panda_twin")
        self.spec: PolicySpec = self.robot.spec(cameras=cameras)
        self.shown = cameras
        self.silent = False
        self.sent_ns: list[int] = []
        self.actions: list[NDArray[np.float32]] = []
        self.reset(0)

    def reset(self, start: int) -> None:
        self.joints, self.gripper_m = REST.copy(), 0.04

    def observe(self) -> tuple[Observation | None, str]:
        if self.silent:
            return None, "joint_states: 0.40 s old"
        assert self.robot.kinematics is not None
        pose = self.robot.kinematics.pose(self.joints)
        state = self.robot.proprioception(
            joint_positions=self.joints,
            gripper_m=self.gripper_m,
            ee_position=pose[:3, 3],
            base_R_ee=pose[:3, :3],
        )
        images = {camera: self.picture(camera) for camera in self.spec.cameras}
        return Observation(time.monotonic_ns(), state, images=images), ""

    def send(self, action: NDArray[np.float32]) -> None:
        assert self.robot.kinematics is not None
        self.sent_ns.append(time.monotonic_ns())
        self.actions.append(action)
        self.joints = self.joints + self.robot.kinematics.joint_motion(self.joints) @ action[:6]
        self.gripper_m = 0.04 * (1.0 - float(action[-1]))

    def picture(self, camera: str) -> NDArray[np.uint8]:
        height, width, _ = self.spec.cameras[camera].shape
        image = np.full((height, width, 3), 40, np.uint8)
        image[:, : int(np.clip(self.joints[0] * width + width / 2, 1, width))] = (70, 120, 220)
        return image

    def view(self, camera: str) -> View | None:
        return None

    def close(self) -> None:
        pass
