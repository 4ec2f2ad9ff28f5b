"""Where chunks of actions would lead the end effector, to be drawn for a person."""

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.robot import RobotDescription
from robot_policy.core.specs import ActionSpace


def chunk_paths(
    robot: RobotDescription, chunks: NDArray[np.float32], state: NDArray[np.float32]
) -> NDArray[np.floating]:
    """Returns (N, H + 1, 3) places in the base frame [m], the first one where the arm is.

    Args:
        robot: Says what an action is, and how much of a displacement is covered.
        chunks: (N, H, A).
        state: (S,) when they were planned.
    """
    here = robot.ee_position(state).astype(np.float64)
    arm = chunks[..., :-1].astype(np.float64)
    match robot.command.action_space:
        case ActionSpace.EE_DELTA_POSE:
            moved = np.cumsum(arm[..., :3], axis=1) * robot.command.response.translation
            places = here + moved
        case ActionSpace.EE_POSE:
            places = arm[..., :3]
        case space:
            if robot.kinematics is None:
                return np.broadcast_to(here, (len(chunks), 1, 3))
            joints = arm
            if space == ActionSpace.JOINT_DELTA:
                covered = arm * robot.command.response.joints
                joints = robot.joint_positions(state) + np.cumsum(covered, axis=1)
            places = robot.kinematics.pose(joints)[..., :3, 3]
    start = np.broadcast_to(here, (len(chunks), 1, 3))
    return np.concatenate([start, places], axis=1)
