"""What an action asks of the joints after those before it, and how it is restricted."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.robot import RobotDescription
from robot_policy.runtime.safety.decision import Decision
from robot_policy.runtime.safety.ee_motion import EE_SPACES, shortened
from robot_policy.runtime.safety.joint_map import JointMap, Joints
from robot_policy.runtime.safety.sent import Sent

_TOLERANCE = 1e-4
_TOLERANCE_RAD = 1e-6
"""What a joint may exceed a bound by, relatively and absolutely, where joint motions are computed
from motions of the end effector: above what rounding to float32 leaves after a restriction."""


@dataclass(frozen=True, slots=True, eq=False)
class JointMotion:
    """What an action, and those before it, ask of the joints.

    Attributes:
        map: Of the robot at its state.
        action: (A,).
        last: (J,) displacement from where the joints are to the last set point [rad]; zero for
            commands that are displacements.
        velocity: (J,) of the commands before [rad/s].
        acceleration: (J,) of the commands before [rad/s^2].
        dt_s: Control period [s].
    """

    map: JointMap
    action: NDArray[np.float32]
    last: Joints
    velocity: Joints
    acceleration: Joints
    dt_s: float

    @classmethod
    def of(
        cls,
        robot: RobotDescription,
        action: NDArray[np.float32],
        state: NDArray[np.float32],
        dt_s: float,
        *,
        sent: Sent,
    ) -> Self:
        """Looks at `action`, commanded after `sent`, at `state`."""
        joints = JointMap.at(robot, state)
        zero = np.zeros(len(robot.joint_names))
        is_delta = robot.command.action_space.is_delta
        before = [joints.covered(a) for a in sent.actions[-2 if is_delta else -3 :]][::-1]
        if not before:
            return cls(joints, action, zero, zero, zero, dt_s)
        if is_delta:
            v1, v2 = (x / dt_s for x in (*before, zero)[:2])
            return cls(joints, action, zero, v1, (v1 - v2) / dt_s, dt_s)
        x1, x2, x3 = (*before, before[-1], before[-1])[:3]
        v1, v2 = (x1 - x2) / dt_s, (x2 - x3) / dt_s
        return cls(joints, action, x1, v1, (v1 - v2) / dt_s, dt_s)

    def within_velocity(self, low: Joints, high: Joints, *, reason: str) -> Decision:
        """Restricts the joint velocities to ``low .. high`` [rad/s].

        They count from the last set point. Standing still and what lies between the last set point
        and where the joints are is always allowed: braking is never prevented.
        """
        low = np.minimum(0.0, self.last + np.minimum(0.0, low) * self.dt_s)
        high = np.maximum(0.0, self.last + np.maximum(0.0, high) * self.dt_s)
        robot = self.map.robot
        if robot.command.action_space in EE_SPACES:
            return self._shortened(self.map.covered(self.action), low, high, reason)
        part = robot.command.response.joints if robot.command.action_space.is_delta else 1.0
        return self._clipped(low / part, high / part, reason)

    def within_displacement(self, low: Joints, high: Joints, *, reason: str) -> Decision:
        """Restricts where the joints get to, to ``low .. high`` from here [rad], zero included."""
        if self.map.robot.command.action_space in EE_SPACES:
            return self._shortened(self.map.covered(self.action), low, high, reason)
        return self._clipped(low, high, reason)

    def _shortened(self, x: Joints, low: Joints, high: Joints, reason: str) -> Decision:
        bound = np.where(x > 0.0, high, low)
        exceeds = np.abs(x) > np.abs(bound) * (1.0 + _TOLERANCE) + _TOLERANCE_RAD
        if not exceeds.any():
            return Decision(self.action)
        fraction = float((bound[exceeds] / x[exceeds]).min())
        action = shortened(self.map.robot, self.action, self.map.state, fraction)
        return Decision(action, self._reasons(exceeds, reason))

    def _clipped(self, low: Joints, high: Joints, reason: str) -> Decision:
        """Clips in the units of the action, so that clipping again changes nothing."""
        robot, joints = self.map.robot, len(low)
        rest = np.zeros(joints)
        if not robot.command.action_space.is_delta:
            rest = robot.joint_positions(self.map.state).astype(np.float64)
        wanted = self.action[:joints]
        clipped = np.clip(wanted, (rest + low).astype(np.float32), (rest + high).astype(np.float32))
        changed = clipped != wanted
        if not changed.any():
            return Decision(self.action)
        action = self.action.copy()
        action[:joints] = clipped
        return Decision(action, self._reasons(changed, reason))

    def _reasons(self, which: NDArray[np.bool_], reason: str) -> tuple[str, ...]:
        names = self.map.robot.joint_names
        return tuple(f"{names[i]} {reason}" for i in np.flatnonzero(which))
