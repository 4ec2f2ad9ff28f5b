"""Takes an arm to a pose, smoothly, through its limits, in whatever form it is commanded."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from robot_policy.capture.arm import Reading
from robot_policy.capture.inverse_kinematics import between, motion_between
from robot_policy.capture.reach import Target
from robot_policy.core.geometry import rotvec_from_matrix, rotvec_near
from robot_policy.core.robot import RobotDescription
from robot_policy.core.specs import ActionSpace
from robot_policy.runtime.hold import hold_action
from robot_policy.runtime.safety.decision import Decision
from robot_policy.runtime.safety.ee_motion import EE_SPACES
from robot_policy.runtime.safety.safety_filter import SafetyFilter
from robot_policy.runtime.safety.sent import AT_REST

type Array = NDArray[np.floating]
type Action = NDArray[np.float32]

_FASTEST_M_S, _FASTEST_RAD_S = 0.3, 1.2
_FASTEST_PART = 0.5
"""Of a joint's own speed limit, and of the longest displacement that may be commanded."""
_PEAK = 1.875
"""Highest over mean speed of a minimum-jerk motion."""
_GAIN = 0.5
"""Part of what is left that a displacement aims to cover in one control period."""
_NEAR_M, _NEAR_RAD = 0.004, 0.015
_STALLED_STEPS = 12
_PROGRESS = 0.995


@dataclass(slots=True)
class _Way:
    """One motion: where from, where to, in how many steps, and how far it has come."""

    start: Reading
    target: Target
    steps: int
    step: int = 0
    least_left: float = np.inf
    stalled: int = 0


class Approach:
    """Goes to one target after the other; every action has passed the limits.

    The set point runs along the straight way, of the end effector or of the joints, whichever is
    commanded, with the least jerk (Flash and Hogan 1985), so that it begins and ends at rest. An
    arm that takes displacements is led after it; one that takes places is told it.

    Args:
        robot: The arm.
        speed: Part of the usual speed, up to 1.
        gripper: What the gripper is commanded all the time, 0 open .. 1 closed.
    """

    def __init__(self, robot: RobotDescription, *, speed: float, gripper: float) -> None:
        self._robot = robot
        self._speed = speed
        self._gripper = gripper
        self._safety = SafetyFilter.from_robot(robot)
        self._way: _Way | None = None
        self._last: Action | None = None
        self._before = AT_REST
        self.restricted = 0
        """Actions that the limits have changed."""

    def begin(self, reading: Reading, target: Target) -> None:
        """Sets out for a target, from where the arm stands."""
        self._way = _Way(reading, target, self._duration(reading, target))

    def next(self, reading: Reading) -> Decision:
        """Returns what to send now; with `stop` it holds the arm."""
        assert self._way is not None
        self._way.step += 1
        return self._restricted(self._towards(reading), reading)

    def rest(self, reading: Reading) -> Decision:
        """Returns what keeps the arm where it was sent to."""
        if self._robot.command.action_space.is_delta or self._last is None:
            return self._restricted(self.hold(reading), reading)
        # Told where it is, an arm that sags would follow itself down.
        return self._restricted(self._last, reading)

    def hold(self, reading: Reading) -> Action:
        """Returns what keeps the arm where it is."""
        return hold_action(self._robot, reading.state(self._robot), gripper=self._gripper)

    def arrived(self, reading: Reading) -> bool:
        """Whether the motion is over: at its target, or no longer coming nearer."""
        way = self._way
        if way is None or way.step < way.steps:
            return way is None
        left = self._left(reading, way.target)
        if left <= 1.0:
            return True
        way.stalled = 0 if left < _PROGRESS * way.least_left else way.stalled + 1
        way.least_left = min(left, way.least_left)
        return way.stalled >= _STALLED_STEPS

    def _left(self, reading: Reading, target: Target) -> float:
        """How far away the target is, 1 where that is near enough."""
        if self._robot.command.action_space in EE_SPACES:
            way = motion_between(reading.base_T_ee, target.base_T_ee)
            return max(
                float(np.linalg.norm(way[:3])) / _NEAR_M,
                float(np.linalg.norm(way[3:])) / _NEAR_RAD,
            )
        return float(np.abs(target.joints - reading.joints).max()) / _NEAR_RAD

    def _duration(self, reading: Reading, target: Target) -> int:
        """Control periods that the set point takes."""
        way = motion_between(reading.base_T_ee, target.base_T_ee)
        fastest_m_s, fastest_rad_s = self._fastest()
        shift_s = np.linalg.norm(way[:3]) / fastest_m_s
        turn_s = np.linalg.norm(way[3:]) / fastest_rad_s
        fastest = _FASTEST_PART * np.array(self._robot.joint_limits.velocity)
        joints_s = (np.abs(target.joints - reading.joints) / fastest).max()
        if self._robot.command.action_space in EE_SPACES:
            joints_s = 0.0  # whichever joints the arm's own controller moves; the limits watch
        longest_s = _PEAK * max(shift_s, turn_s, joints_s) / self._speed
        return max(1, int(np.ceil(longest_s * self._robot.rate_hz)))

    def _fastest(self) -> tuple[float, float]:
        """Speeds of the end effector [m/s], [rad/s] that its commands can make."""
        command = self._robot.command
        if command.action_space is not ActionSpace.EE_DELTA_POSE:
            return _FASTEST_M_S, _FASTEST_RAD_S
        part = _FASTEST_PART * self._robot.rate_hz
        shift_m, turn_rad = min(command.high[:3]), min(command.high[3:6])
        return (
            min(_FASTEST_M_S, part * command.response.translation * shift_m),
            min(_FASTEST_RAD_S, part * command.response.rotation * turn_rad),
        )

    def _towards(self, reading: Reading) -> Action:
        way = self._way
        assert way is not None
        t = min(1.0, way.step / way.steps)
        fraction = t**3 * (10.0 - 15.0 * t + 6.0 * t**2)
        response = self._robot.command.response
        joints = way.start.joints + fraction * (way.target.joints - way.start.joints)
        pose = between(way.start.base_T_ee, way.target.base_T_ee, fraction)
        match self._robot.command.action_space:
            case ActionSpace.JOINT_POSITION:
                arm = joints
            case ActionSpace.JOINT_DELTA:
                arm = _GAIN / response.joints * (joints - reading.joints)
            case ActionSpace.EE_DELTA_POSE:
                arm = _GAIN * motion_between(reading.base_T_ee, pose)
                arm /= np.repeat([response.translation, response.rotation], 3)
            case ActionSpace.EE_POSE:
                rotvec = rotvec_near(rotvec_from_matrix(pose[:3, :3]), self._named())
                arm = np.concatenate([pose[:3, 3], rotvec])
        return np.append(arm, self._gripper).astype(np.float32)

    def _named(self) -> Array:
        """The rotation vector that was commanded last: poses are named near it."""
        if self._last is not None:
            return self._last[3:6].astype(np.float64)
        assert self._way is not None
        return rotvec_from_matrix(self._way.start.base_T_ee[:3, :3])

    def _restricted(self, action: Action, reading: Reading) -> Decision:
        robot, state = self._robot, reading.state(self._robot)
        decision = self._safety.restrict(action, state, robot.dt_s, sent=self._before)
        self.restricted += bool(decision.reasons)
        if decision.stop:
            self._before, self._last = AT_REST, None
            return Decision(self.hold(reading), decision.reasons, stop=True)
        rest = hold_action(robot, state, gripper=self._gripper)
        self._before = self._before.then(decision.action, rest=rest)
        self._last = decision.action
        return decision
