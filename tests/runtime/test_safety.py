"""What the safety filter promises, whatever is asked of it."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from robot_policy.core.robot import RobotDescription, load_robot
from robot_policy.core.specs import ActionSpace
from robot_policy.runtime.hold import hold_action
from robot_policy.runtime.safety.safety_filter import LIMITS, SafetyFilter
from robot_policy.runtime.safety.workspace_box import WorkspaceBox

TWIN = load_robot("panda_twin")
ABSOLUTE = replace(
    TWIN,
    command=replace(
        TWIN.command,
        action_space=ActionSpace.EE_POSE,
        low=(*(-2.0,) * 3, *(-3.2,) * 3, 0.0),
        high=(*(2.0,) * 3, *(3.2,) * 3, 1.0),
    ),
)
DT_S = 0.05
anything = st.floats(-10, 10, width=32)
actions = arrays(np.float32, 7, elements=anything)
places = arrays(np.float32, 3, elements=st.floats(-1, 1, width=32))


def state_at(robot: RobotDescription, position: np.ndarray) -> np.ndarray:
    return robot.proprioception(
        joint_positions=np.zeros(7), gripper_m=0.02, ee_position=position, base_R_ee=np.eye(3)
    )


@pytest.mark.parametrize("robot", [TWIN, ABSOLUTE], ids=["delta", "absolute"])
@given(action=actions, position=places)
def test_output_is_within_limits_and_filtering_again_changes_nothing(
    robot: RobotDescription, action: np.ndarray, position: np.ndarray
) -> None:
    safety, state = SafetyFilter.from_robot(robot), state_at(robot, position)
    once = safety.restrict(action, state, DT_S)
    assert not once.stop
    assert (once.action >= np.float32(robot.command.low)).all()
    assert (once.action <= np.float32(robot.command.high)).all()
    twice = safety.restrict(once.action, state, DT_S)
    np.testing.assert_array_equal(twice.action, once.action)
    assert twice.reasons == ()


@given(action=actions, position=places)
def test_a_motion_is_never_widened_or_reversed(action: np.ndarray, position: np.ndarray) -> None:
    restricted = SafetyFilter.from_robot(TWIN).restrict(action, state_at(TWIN, position), DT_S)
    assert (np.abs(restricted.action[:6]) <= np.abs(action[:6])).all()
    assert (restricted.action[:6] * action[:6] >= 0).all()


@given(action=actions, position=places, order=st.permutations(list(LIMITS)))
def test_the_order_of_limits_does_not_matter(
    action: np.ndarray, position: np.ndarray, order: list[str]
) -> None:
    limits = [LIMITS[name].from_robot(TWIN) for name in order]
    state = state_at(TWIN, position)
    result = SafetyFilter(limits).restrict(action, state, DT_S)
    expected = SafetyFilter.from_robot(TWIN).restrict(action, state, DT_S)
    np.testing.assert_array_equal(result.action, expected.action)


@given(position=places, action=actions)
def test_the_end_effector_does_not_leave_the_box(position: np.ndarray, action: np.ndarray) -> None:
    low, high = np.array(TWIN.workspace.low), np.array(TWIN.workspace.high)
    inside = np.clip(position, low, high).astype(np.float32)
    result = SafetyFilter.from_robot(TWIN).restrict(action, state_at(TWIN, inside), DT_S)
    reached = inside + result.action[:3]
    assert (reached >= low - 1e-6).all()
    assert (reached <= high + 1e-6).all()


def test_outside_of_the_box_an_axis_comes_back_or_stands_still() -> None:
    above = np.array([0.4, 0.0, TWIN.workspace.high[2] + 0.1], np.float32)
    limit = WorkspaceBox.from_robot(TWIN)
    assert limit is not None
    up, down = np.zeros(7, np.float32), np.zeros(7, np.float32)
    up[2], down[2] = 0.01, -0.01
    state = state_at(TWIN, above)
    assert limit.restrict(up, state, DT_S).action[2] == 0.0
    assert limit.restrict(up, state, DT_S).reasons == ("z would leave the workspace",)
    assert limit.restrict(down, state, DT_S).action[2] == np.float32(-0.01)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", ["action", "state"])
def test_what_is_not_finite_stops(bad: float, where: str) -> None:
    inputs = {"action": np.zeros(7, np.float32), "state": state_at(TWIN, np.zeros(3))}
    inputs[where][3] = bad
    decision = SafetyFilter.from_robot(TWIN).restrict(inputs["action"], inputs["state"], DT_S)
    assert decision.stop
    assert decision.reasons == (f"{where} is not finite",)


def test_a_wrong_size_stops() -> None:
    decision = SafetyFilter.from_robot(TWIN).restrict(
        np.zeros(6, np.float32), state_at(TWIN, np.zeros(3)), DT_S
    )
    assert decision.stop
    assert "shape (6,), not (7,)" in decision.reasons[0]


def test_every_limit_is_on_by_default() -> None:
    assert len(SafetyFilter.from_robot(TWIN).limits) == len(LIMITS)


@pytest.mark.parametrize("space", list(ActionSpace))
def test_hold_is_no_motion_and_never_a_zero_pose(space: ActionSpace) -> None:
    robot = replace(TWIN, command=replace(TWIN.command, action_space=space))
    position = np.array([0.4, 0.1, 0.3])
    joints = np.linspace(0.1, 0.7, 7)
    state = robot.proprioception(
        joint_positions=joints, gripper_m=0.0, ee_position=position, base_R_ee=np.eye(3)
    )
    action = hold_action(robot, state, gripper=1.0)
    expected = {
        ActionSpace.EE_DELTA_POSE: np.zeros(6),
        ActionSpace.JOINT_DELTA: np.zeros(7),
        ActionSpace.JOINT_POSITION: joints,
        ActionSpace.EE_POSE: [*position, 0, 0, 0],
    }[space]
    np.testing.assert_allclose(action, [*expected, 1.0], atol=1e-6)
