"""Limits on what is planned for later, for arms that are sent more than the next action."""

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.geometry import rot6d_from_matrix
from robot_policy.core.robot import RobotDescription
from robot_policy.core.specs import ActionSpace
from robot_policy.runtime.hold import hold_action
from robot_policy.runtime.safety.safety_filter import SafetyFilter
from robot_policy.runtime.safety.sent import Sent


def restricted_ahead(
    safety: SafetyFilter,
    robot: RobotDescription,
    actions: NDArray[np.float32],
    *,
    state: NDArray[np.float32],
    sent: Sent,
) -> NDArray[np.float32]:
    """Takes joint actions through the limits, each where the one before is expected to lead.

    Args:
        safety: The limits.
        robot: Takes joint actions.
        actions: (R, A) that follow each other.
        state: (S,) expected when the first one runs.
        sent: What was sent before it.

    Returns:
        (R', A) as far as none of them stops the arm.
    """
    allowed: list[NDArray[np.float32]] = []
    for action in actions:
        decision = safety.restrict(action, state, robot.dt_s, sent=sent)
        if decision.stop:
            break
        rest = hold_action(robot, state, gripper=robot.gripper_fraction(state))
        sent = sent.then(decision.action, rest=rest)
        state = state_after(robot, decision.action, state)
        allowed.append(decision.action)
    return np.array(allowed, np.float32).reshape(-1, robot.action_spec.size)


def state_after(
    robot: RobotDescription, action: NDArray[np.float32], state: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Returns the state (S,) of an arm that has followed a joint action (A,)."""
    joints = len(robot.joint_names)
    result = state.copy()
    if robot.command.action_space == ActionSpace.JOINT_DELTA:
        result[:joints] += action[:joints]
    else:
        result[:joints] = action[:joints]
    result[joints] = action[-1]
    if robot.kinematics is not None:
        base_T_ee = robot.kinematics.pose(result[:joints])
        result[joints + 1 : joints + 4] = base_T_ee[:3, 3]
        result[joints + 4 : joints + 10] = rot6d_from_matrix(base_T_ee[:3, :3])
    return result
