"""What a demonstrator wants, in the action space of the robot it drives.

People and scripted experts think in displacements of the end effector. A robot that takes poses or
joint angles is told where such a displacement leads, so that demonstrations exist in every space.
"""

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.errors import ConfigError
from robot_policy.core.geometry import (
    matrix_from_rotvec,
    rotvec_from_matrix,
    rotvec_near,
    transform,
)
from robot_policy.core.kinematics import KinematicChain
from robot_policy.core.observation import Observation
from robot_policy.core.robot import RobotDescription
from robot_policy.core.specs import ActionSpace
from robot_policy.runtime.hold import hold_action
from robot_policy.runtime.safety.ee_motion import EE_SPACES
from robot_policy.runtime.safety.safety_filter import SafetyFilter
from robot_policy.runtime.safety.sent import AT_REST

_HAND_DOWN = np.array([np.pi, 0.0, 0.0])
"""Rotation vector near which poses are named: of a hand that points down, which is half a turn."""

_NEWTON_STEPS = 4


class Translation:
    """Turns displacements of the end effector into actions of a robot, within its limits.

    Displacements themselves pass as they are. What is translated goes through the limits, so that
    demonstrations hold only commands that a policy may repeat.

    Args:
        robot: The robot.

    Raises:
        ConfigError: If it takes joint angles and its kinematics are unknown.
    """

    def __init__(self, robot: RobotDescription) -> None:
        space = robot.command.action_space
        if space not in EE_SPACES and robot.kinematics is None:
            raise ConfigError(
                "nobody can tell the joints where to go",
                where=f"robot {robot.name}",
                expected="kinematics or urdf",
            )
        self._robot = robot
        self._safety = SafetyFilter.from_robot(robot)
        self.reset()

    def reset(self) -> None:
        """Begins an episode."""
        self._before = AT_REST
        self._rotvec = _HAND_DOWN

    def action(self, wanted: NDArray[np.floating], observation: Observation) -> NDArray[np.float32]:
        """Returns the action (A,) for a displacement (7,) [m, rad, gripper] at `observation`."""
        robot, state = self._robot, observation.state
        if robot.command.action_space == ActionSpace.EE_DELTA_POSE:
            return wanted.astype(np.float32)
        action = self.asked(wanted, state)
        action = self._safety.restrict(action, state, robot.dt_s, sent=self._before).action
        action = self.named(action)
        rest = hold_action(robot, state, gripper=float(wanted[-1]))
        self._before = self._before.then(action, rest=rest)
        return action

    def asked(
        self, wanted: NDArray[np.floating], state: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Returns the action (A,) for a displacement (7,) at a state (S,), limits left aside."""
        robot = self._robot
        match robot.command.action_space:
            case ActionSpace.EE_DELTA_POSE:
                return wanted.astype(np.float32)
            case ActionSpace.EE_POSE:
                arm = self._pose(_target(robot, wanted, state))
            case ActionSpace.JOINT_POSITION | ActionSpace.JOINT_DELTA:
                arm = _joints(robot, _target(robot, wanted, state), state)
        return np.append(arm, wanted[-1]).astype(np.float32)

    def named(self, action: NDArray[np.float32]) -> NDArray[np.float32]:
        """Returns an action as it is sent: what was shortened may have another name of its turn."""
        if self._robot.command.action_space != ActionSpace.EE_POSE:
            return action
        self._rotvec = rotvec_near(action[3:6], self._rotvec)
        return np.concatenate([action[:3], self._rotvec, action[6:]]).astype(np.float32)

    def _pose(self, base_T_ee: NDArray[np.floating]) -> NDArray[np.floating]:
        """(6,) position [m] and rotation vector [rad], close to the one before."""
        rotvec = rotvec_near(rotvec_from_matrix(base_T_ee[:3, :3]), self._rotvec)
        return np.concatenate([base_T_ee[:3, 3], rotvec])


def _target(
    robot: RobotDescription, wanted: NDArray[np.floating], state: NDArray[np.float32]
) -> NDArray[np.floating]:
    """(4, 4) ``base_T_ee`` that a displacement leads to."""
    R = matrix_from_rotvec(wanted[3:6]) @ robot.ee_rotation(state)
    return transform(R, robot.ee_position(state) + wanted[:3])


def _joints(
    robot: RobotDescription, base_T_ee: NDArray[np.floating], state: NDArray[np.float32]
) -> NDArray[np.floating]:
    """(J,) joint angles that bring the end effector there, or the way to them [rad]."""
    assert robot.kinematics is not None
    here = robot.joint_positions(state).astype(np.float64)
    there = _inverse(robot.kinematics, here, base_T_ee)
    return there - here if robot.command.action_space.is_delta else there


def _inverse(
    chain: KinematicChain, start: NDArray[np.floating], target: NDArray[np.floating]
) -> NDArray[np.floating]:
    """Joint angles (J,) near `start` that bring the end effector to `target` (4, 4).

    Newton's method with the damped pseudo-inverse; where the target cannot be reached, it comes
    as near as the damping lets it.
    """
    q = start
    for _ in range(_NEWTON_STEPS):
        base_T_ee = chain.pose(q)
        shift = target[:3, 3] - base_T_ee[:3, 3]
        turn = rotvec_from_matrix(target[:3, :3] @ base_T_ee[:3, :3].T)
        q = q + chain.joint_motion(q) @ np.concatenate([shift, turn])
    return q
