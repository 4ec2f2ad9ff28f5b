"""The action that keeps an arm where it is. Never a zero vector for a robot that takes poses."""

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.geometry import matrix_from_rot6d, rotvec_from_matrix
from robot_policy.core.robot import RobotDescription
from robot_policy.core.specs import ActionSpace


def hold_action(
    robot: RobotDescription, state: NDArray[np.float32], *, gripper: float
) -> NDArray[np.float32]:
    """Returns the action (A,) that commands no motion and leaves the gripper as commanded.

    Args:
        robot: The robot.
        state: (S,) where it is now.
        gripper: Last gripper command, 0 open .. 1 closed.
    """
    joints = len(robot.joint_names)
    match robot.command.action_space:
        case ActionSpace.EE_DELTA_POSE:
            motion = np.zeros(6)
        case ActionSpace.JOINT_DELTA:
            motion = np.zeros(joints)
        case ActionSpace.JOINT_POSITION:
            motion = state[:joints]
        case ActionSpace.EE_POSE:
            rotation = matrix_from_rot6d(state[joints + 4 : joints + 10])
            motion = np.concatenate([robot.ee_position(state), rotvec_from_matrix(rotation)])
    return np.append(motion, gripper).astype(np.float32)
