"""Actions as what a message says: displacements become places where the interface takes places.

An arm that takes poses or joint positions can be driven by a policy that commands displacements,
and what such an arm was sent can be read back as displacements. Both need to know where it was.
"""

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.geometry import matrix_from_rotvec, rotvec_from_matrix, transform
from robot_policy.core.robot import RobotDescription

type Values = NDArray[np.floating]


def values_from_actions(
    robot: RobotDescription, actions: NDArray[np.float32], state: NDArray[np.float32]
) -> Values:
    """Returns what to say for some actions that follow each other.

    Args:
        robot: Its interface says what a message means.
        actions: (n, A), the first one for now.
        state: (S,) the robot now. Displacements count from there, the later ones from where those
            before them lead.

    Returns:
        (n, M) without the gripper, in the interface's own space.
    """
    arm = actions[:, :-1].astype(np.float64)
    if robot.command.action_space == robot.command.interface.space:
        return arm
    if not _is_pose(robot):
        return robot.joint_positions(state) + np.cumsum(arm, axis=0)
    place = transform(robot.ee_rotation(state), robot.ee_position(state))
    places: list[NDArray[np.floating]] = []
    for motion in arm:
        turned = matrix_from_rotvec(motion[3:]) @ place[:3, :3]
        place = transform(turned, place[:3, 3] + motion[:3])
        places.append(np.concatenate([place[:3, 3], rotvec_from_matrix(turned)]))
    return np.array(places).reshape(-1, 6)


def action_from_values(
    robot: RobotDescription, values: Values, state: NDArray[np.float32]
) -> Values:
    """Returns the arm's part (A - 1,) of the action that `values` (M,) amount to at `state`."""
    if robot.command.action_space == robot.command.interface.space:
        return values
    if not _is_pose(robot):
        return values - robot.joint_positions(state)
    turn = rotvec_from_matrix(matrix_from_rotvec(values[3:]) @ robot.ee_rotation(state).T)
    return np.concatenate([values[:3] - robot.ee_position(state), turn])


def _is_pose(robot: RobotDescription) -> bool:
    return robot.command.interface.space.value.startswith("ee_")
