"""Which action the commands of a control period amount to. Knows no ROS."""

import threading
from collections import deque

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.geometry import rotvec_named, rotvec_near
from robot_policy.core.robot import RobotDescription
from robot_policy.core.specs import ActionSpace

_KEPT = 4096
"""Commands kept: four seconds at 1 kHz."""


class CommandLog:
    """Remembers what the arm and its gripper were commanded, whoever did it.

    Motions are in the space of the robot's interface. The action of a period is the mean of the
    commands sent in it, which is the command itself where there is one per period, as a policy
    sends them. Without any the arm was not to move if motions are displacements, and was to stay
    where the last command had sent it if they are places. The gripper stays as it was last
    commanded.

    Callbacks put, the thread that captures takes.

    Args:
        robot: Gives interface and control period.
    """

    def __init__(self, robot: RobotDescription) -> None:
        space = robot.command.interface.space
        self._is_delta = space.is_delta
        self._size = 6 if space == ActionSpace.EE_DELTA_POSE else len(robot.joint_names)
        self._is_pose = space == ActionSpace.EE_POSE
        self._period_ns = round(1e9 * robot.dt_s)
        self._motions: deque[tuple[int, NDArray[np.floating]]] = deque(maxlen=_KEPT)
        self._grippers: deque[tuple[int, float]] = deque(maxlen=_KEPT)
        self._lock = threading.Lock()

    def put_motion(self, values: NDArray[np.floating], *, stamp_ns: int) -> None:
        """Adds motions (n, M), or one (M,), commanded at `stamp_ns`, one per control period.

        They replace those of an earlier command that were not due yet.
        """
        with self._lock:
            while self._motions and self._motions[-1][0] > stamp_ns:
                self._motions.pop()
            for step, motion in enumerate(np.atleast_2d(values)):
                if self._is_pose:
                    motion = self._named(motion)
                self._motions.append((stamp_ns + step * self._period_ns, motion))

    def _named(self, motion: NDArray[np.floating]) -> NDArray[np.floating]:
        """A pose (6,) whose rotation vector does not jump where the rotation does not."""
        near = self._motions[-1][1][3:] if self._motions else rotvec_named(motion[3:])
        return np.concatenate([motion[:3], rotvec_near(motion[3:], near)])

    def put_gripper(self, fraction: float, *, stamp_ns: int) -> None:
        """Adds a command of the gripper, 0 open .. 1 closed, that arrived at `stamp_ns`."""
        with self._lock:
            self._grippers.append((stamp_ns, fraction))

    def action(self, *, after_ns: int, until_ns: int, gripper: float) -> NDArray[np.float32] | None:
        """Returns motion and gripper (M + 1,) of a period.

        Args:
            after_ns: Moment of the observation it follows [ns].
            until_ns: Moment of the next one, which belongs to the period [ns].
            gripper: Where the gripper is, which is taken where it was never commanded.

        Returns:
            None where motions are places and the arm was never sent to one.
        """
        with self._lock:
            motion = self._motion(after_ns, until_ns)
            commanded = [g for stamp_ns, g in self._grippers if stamp_ns <= until_ns]
        if motion is None:
            return None
        return np.append(motion, commanded[-1] if commanded else gripper).astype(np.float32)

    def _motion(self, after_ns: int, until_ns: int) -> NDArray[np.floating] | None:
        sent = [m for stamp_ns, m in self._motions if after_ns < stamp_ns <= until_ns]
        if sent:
            return np.mean(sent, axis=0)
        if self._is_delta:
            return np.zeros(self._size)
        before = [m for stamp_ns, m in self._motions if stamp_ns <= after_ns]
        return before[-1] if before else None
