"""Boxes that the end effector must not enter."""

from dataclasses import replace

import numpy as np
import pytest

from robot_policy.core.robot import Box, load_robot
from robot_policy.runtime.safety.keep_out import KeepOut

TWIN = load_robot("panda_twin")
WALL = Box((0.5, -0.2, 0.0), (0.51, 0.2, 0.4))
ROBOT = replace(TWIN, workspace=replace(TWIN.workspace, keep_out=(WALL,)))
LIMIT = KeepOut.from_robot(ROBOT)


def moved(start: tuple[float, float, float], way: tuple[float, float, float]) -> np.ndarray:
    state = ROBOT.proprioception(
        joint_positions=np.zeros(7), gripper_m=0.0, ee_position=np.array(start), base_R_ee=np.eye(3)
    )
    action = np.array([*way, 0.1, 0, 0, 1], np.float32)
    assert LIMIT is not None
    decision = LIMIT.restrict(action, state, 0.05)
    assert bool(decision.reasons) == (not np.array_equal(decision.action, action))
    np.testing.assert_array_equal(decision.action[3:], action[3:])
    return decision.action[:3]


def test_a_motion_ends_before_the_wall_in_its_own_direction() -> None:
    way = moved((0.48, 0.0, 0.2), (0.05, 0.01, 0.0))
    np.testing.assert_allclose(way, [0.019, 0.0038, 0.0], atol=1e-6)


def test_a_thin_wall_is_not_jumped_over() -> None:
    assert moved((0.48, 0.0, 0.2), (0.2, 0.0, 0.0))[0] < 0.02


@pytest.mark.parametrize(
    "way", [(-0.05, 0, 0), (0, 0.05, 0), (0.015, 0, 0), (0.05, 0, 0.7), (0, 0, 0)]
)
def test_what_passes_by_is_left_alone(way: tuple[float, float, float]) -> None:
    np.testing.assert_array_equal(moved((0.48, 0.0, 0.2), way), np.float32(way))


def test_along_the_wall_one_may_slide() -> None:
    np.testing.assert_array_equal(
        moved((0.5, 0.0, 0.2), (0, 0.05, 0.05)), np.float32([0, 0.05, 0.05])
    )


def test_inside_one_may_leave_by_the_nearest_face_or_stand_still() -> None:
    inside = (0.508, 0.0, 0.2)
    np.testing.assert_array_equal(moved(inside, (0.01, 0, 0)), np.float32([0.01, 0, 0]))
    np.testing.assert_array_equal(moved(inside, (0, 0, 0)), np.zeros(3))
    np.testing.assert_array_equal(moved(inside, (-0.01, 0, 0)), np.zeros(3))


def test_without_boxes_nothing_is_restricted() -> None:
    limit = KeepOut.from_robot(TWIN)
    assert limit is not None
    action = np.full(7, 0.05, np.float32)
    state = ROBOT.proprioception(
        joint_positions=np.zeros(7), gripper_m=0.0, ee_position=np.zeros(3), base_R_ee=np.eye(3)
    )
    assert limit.restrict(action, state, 0.05).action is action
