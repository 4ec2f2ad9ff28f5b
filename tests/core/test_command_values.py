"""Displacements become places and places displacements, by where the robot is."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from robot_policy.core.command_values import action_from_values, values_from_actions
from robot_policy.core.geometry import matrix_from_rotvec, rotvec_from_matrix
from robot_policy.core.robot import CommandInterface, RobotDescription, load_robot
from robot_policy.core.specs import ActionSpace

TWIN = load_robot("panda_twin")
small = st.floats(-0.5, 0.5, width=32)


def driven(space: ActionSpace, interface: CommandInterface) -> RobotDescription:
    return replace(TWIN, command=replace(TWIN.command, action_space=space, interface=interface))


PAIRS = [(space, interface) for interface in CommandInterface for space in interface.carries]


def state(seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return TWIN.proprioception(
        joint_positions=rng.uniform(-1, 1, 7),
        gripper_m=0.02,
        ee_position=rng.uniform(-1, 1, 3),
        base_R_ee=matrix_from_rotvec(rng.uniform(-1, 1, 3)),
    )


@pytest.mark.parametrize(("space", "interface"), PAIRS)
@given(data=st.data())
def test_what_is_said_is_understood(
    space: ActionSpace, interface: CommandInterface, data: st.DataObject
) -> None:
    robot = driven(space, interface)
    size = 7 if "joint" in space else 6
    action = data.draw(arrays(np.float32, size + 1, elements=small))
    values = values_from_actions(robot, action[None], state())
    assert values.shape == (1, size)
    back = action_from_values(robot, values[0], state())
    if space == ActionSpace.EE_POSE:
        np.testing.assert_array_equal(back[:3], action[:3])
    np.testing.assert_allclose(back, action[:-1], atol=1e-5)


def test_joint_displacements_that_follow_each_other_add_up() -> None:
    robot = driven(ActionSpace.JOINT_DELTA, CommandInterface.JOINT_TRAJECTORY_CHUNK)
    actions = np.full((3, 8), 0.1, np.float32)
    values = values_from_actions(robot, actions, state())
    expected = state()[:7] + 0.1 * np.array([[1], [2], [3]])
    np.testing.assert_allclose(values, expected, atol=1e-6)


def test_displacements_of_the_hand_are_in_the_base_frame_and_add_up() -> None:
    robot = driven(ActionSpace.EE_DELTA_POSE, CommandInterface.POSE)
    motion = np.array([0.1, 0, 0, 0, 0, 0.3, 0], np.float32)
    values = values_from_actions(robot, np.stack([motion, motion]), state())
    np.testing.assert_allclose(
        values[:, :3] - robot.ee_position(state()), [[0.1, 0, 0], [0.2, 0, 0]], atol=1e-6
    )
    R = matrix_from_rotvec(np.array([0, 0, 0.6])) @ robot.ee_rotation(state())
    np.testing.assert_allclose(values[1, 3:], rotvec_from_matrix(R), atol=1e-6)
