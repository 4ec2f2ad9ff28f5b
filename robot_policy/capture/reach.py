"""Where an arm may be sent: within its joints' ranges, its workspace, and above the table."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from robot_policy.capture.arm import Reading
from robot_policy.capture.inverse_kinematics import between, joints_near
from robot_policy.core.errors import ConfigError
from robot_policy.core.kinematics import KinematicChain
from robot_policy.core.robot import RobotDescription
from robot_policy.runtime.safety.ee_motion import EE_SPACES

type Array = NDArray[np.floating]

_JOINT_MARGIN_RAD, _WANDERING_MARGIN_RAD = 0.08, 0.35
"""Of an arm with a joint to spare whose end effector is commanded, nobody can tell where its joints
go exactly: a controller of its own decides, and may move them even while the hand rests."""
_JOINT_MARGIN_PART, _WANDERING_MARGIN_PART = 0.05, 0.08
"""Of the range, where that is less."""
_NEEDED_JOINTS = 6
_LOOK_AHEAD_S = 0.2
_PLACE_MARGIN_M = 0.015
_PLACES = 10
"""Looked at on the way from one pose to the next."""
_SINGULAR = 0.03
"""Smallest singular value of the Jacobian [m or rad per rad]: less, and joints race."""


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """Where the arm is sent: joint angles (J,) [rad], and the pose (4, 4) they lead to [m]."""

    joints: Array
    base_T_ee: Array


@dataclass(frozen=True, slots=True, eq=False)
class Reach:
    """What an arm reaches without coming near its limits.

    Attributes:
        robot: The arm, with kinematics.
        carried: (n, 3) points that go with the end effector, in its frame [m]: the camera, or the
            corners of a board in the gripper. They stay above the floor of the workspace.
    """

    robot: RobotDescription
    carried: Array = field(default_factory=lambda: np.zeros((0, 3)))

    def __post_init__(self) -> None:
        if self.robot.kinematics is None:
            raise ConfigError(
                "an arm can only be moved to poses if its kinematics are known",
                where=f"robot {self.robot.name}",
                expected="kinematics or urdf",
                hint="--guided lets a person move it",
            )

    @property
    def chain(self) -> KinematicChain:
        """The arm's kinematics."""
        assert self.robot.kinematics is not None
        return self.robot.kinematics

    @property
    def wanders(self) -> bool:
        """Whether the joints may go elsewhere than planned, although the hand does not."""
        by_hand = self.robot.command.action_space in EE_SPACES
        return by_hand and len(self.chain) > _NEEDED_JOINTS

    def targets(self, base_T_ee: Array, near: Array) -> list[Target]:
        """Returns where the arm comes nearest to some poses, those left out that are not allowed.

        Args:
            base_T_ee: (n, 4, 4) wanted [m].
            near: (J,) joints to start from [rad].
        """
        low, high = self._joint_range()
        joints = joints_near(self.chain, base_T_ee, near, low=low, high=high)
        there = self.chain.pose(joints)
        weakest = np.linalg.svd(self.chain.jacobian(joints), compute_uv=False)[..., -1]
        allowed = self._allowed(there, _PLACE_MARGIN_M) & (weakest > _SINGULAR)
        return [Target(joints[i], there[i]) for i in np.flatnonzero(allowed)]

    def free_way(self, reading: Reading, target: Target) -> bool:
        """Whether the straight way is allowed: of the joints, or of the end effector if commanded.

        An arm that begins nearer to a limit than it would be sent may leave it.
        """
        fractions = np.linspace(0.0, 1.0, _PLACES + 1)[1:]
        if self.robot.command.action_space in EE_SPACES:
            poses = np.array([between(reading.base_T_ee, target.base_T_ee, f) for f in fractions])
            joints = self._followed(reading.joints, poses)
            if joints is None:
                return False
        else:
            joints = reading.joints + fractions[:, None] * (target.joints - reading.joints)
            poses = self.chain.pose(joints)
        return bool(self._allowed(poses, 0.0, start=reading.base_T_ee).all())

    def margins(self, reading: Reading) -> tuple[float, float]:
        """How far the arm is from its nearest joint limit [rad] and the workspace's border [m].

        Negative beyond them, or in a keep-out box.
        """
        limits = self.robot.joint_limits
        joints = np.concatenate([reading.joints - limits.low, limits.high - reading.joints])
        box, place = self.robot.workspace, reading.base_T_ee[:3, 3]
        borders = np.concatenate([place - box.low, box.high - place])
        outside = [
            float(np.maximum(keep.low - place, place - keep.high).max()) for keep in box.keep_out
        ]
        return float(joints.min()), float(min(borders.min(), *outside, np.inf))

    def spared(self, reading: Reading) -> float:
        """Returns how much of the planned distance from the limits is left: 1 all, 0 none.

        The arm is not where it was planned to be: it is compliant, or has a joint to spare.
        """
        low, high = self._range_of_joints
        joints = reading.joints
        if reading.velocities is not None:
            joints = joints + _LOOK_AHEAD_S * reading.velocities
        left = np.minimum(joints - low, high - joints) / self._joint_margin
        place_m = self.margins(reading)[1] / _PLACE_MARGIN_M
        return float(min(left.min(), place_m, 1.0))

    @property
    def _range_of_joints(self) -> tuple[Array, Array]:
        limits = self.robot.joint_limits
        return np.array(limits.low), np.array(limits.high)

    @property
    def _joint_margin(self) -> Array:
        """(J,) planned distance from the limits [rad]."""
        low, high = self._range_of_joints
        if self.wanders:
            return np.minimum(_WANDERING_MARGIN_RAD, _WANDERING_MARGIN_PART * (high - low))
        return np.minimum(_JOINT_MARGIN_RAD, _JOINT_MARGIN_PART * (high - low))

    def _joint_range(self) -> tuple[Array, Array]:
        low, high = self._range_of_joints
        return low + self._joint_margin, high - self._joint_margin

    def _followed(self, start: Array, poses: Array) -> Array | None:
        """Joint angles along a way of the end effector; None where a range ends before."""
        low, high = self._joint_range()
        low, high = np.minimum(low, start), np.maximum(high, start)
        joints: list[Array] = []
        q = start
        for pose in poses:
            q = joints_near(self.chain, pose, q, low=low, high=high)
            joints.append(q)
        reached = self.chain.pose(np.array(joints))
        off = np.linalg.norm(reached[:, :3, 3] - poses[:, :3, 3], axis=-1)
        return None if off.max() > _PLACE_MARGIN_M else np.array(joints)

    def _allowed(
        self, poses: Array, margin_m: float, *, start: Array | None = None
    ) -> NDArray[np.bool_]:
        """Which of some poses (n, 4, 4) keep a distance from what is forbidden."""
        box, places = self.robot.workspace, poses[:, :3, 3]
        low, high = np.array(box.low) + margin_m, np.array(box.high) - margin_m
        floor = box.low[2]
        if start is not None:
            low, high = np.minimum(low, start[:3, 3]), np.maximum(high, start[:3, 3])
            floor = min(floor, float(self._lowest(start[None])[0]))
        allowed = ((places >= low) & (places <= high)).all(axis=-1)
        for keep in box.keep_out:
            inside = (places > np.array(keep.low) - margin_m) & (
                places < np.array(keep.high) + margin_m
            )
            allowed &= ~inside.all(axis=-1)
        return allowed & (self._lowest(poses) >= floor)

    def _lowest(self, poses: Array) -> Array:
        """Height (n,) of the lowest point that is carried [m]."""
        if not len(self.carried):
            return np.full(len(poses), np.inf)
        return (poses[:, 2, :3] @ self.carried.T + poses[:, 2, 3:4]).min(axis=-1)
