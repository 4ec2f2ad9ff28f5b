"""Primitives: the vocabulary, and demonstrations made of it and back."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robot_policy.core.errors import ConfigError, UnknownNameError
from robot_policy.core.geometry import matrix_from_rotvec, rotvec_from_matrix
from robot_policy.core.robot import PrimitiveAmounts, load_robot
from robot_policy.policies.primitive_coding import discretise, undiscretise
from robot_policy.policies.primitive_servo import PrimitiveServo
from robot_policy.policies.primitives import Kind, PrimitiveSet

ROBOT = load_robot("panda_twin")
SET = PrimitiveSet.for_robot(ROBOT)
amounts = st.floats(-0.3, 0.3)
motions = st.tuples(*[amounts] * 3, *[st.floats(-1.5, 1.5)] * 3).map(np.array)


def test_every_primitive_has_its_own_name_and_several_sentences() -> None:
    assert len({p.name for p in SET}) == len(SET)
    assert all(len(p.sentences) >= 5 for p in SET)
    said = [s for p in SET for s in p.sentences]
    assert len(said) == len(set(said))  # no sentence means two things


def test_amounts_come_with_the_robot() -> None:
    own = replace(ROBOT, primitives=PrimitiveAmounts((0.003, 0.03), (0.1,)))
    primitives = PrimitiveSet.for_robot(own)
    assert primitives.amounts(0) == (0.003, 0.03)
    assert len(primitives) == 3 * 4 + 3 * 2 + 3
    low = tuple(high - 0.1 for high in ROBOT.workspace.high)
    small = replace(ROBOT, workspace=replace(ROBOT.workspace, low=low))
    assert max(PrimitiveSet.for_robot(small).amounts(0)) <= 0.075


@pytest.mark.parametrize("wrong", [(), (0.0, 0.1), (0.2, 0.1), (float("nan"),)])
def test_wrong_amounts_are_refused(wrong: tuple[float, ...]) -> None:
    with pytest.raises(ConfigError, match="translation_m"):
        PrimitiveSet(translation_m=wrong, rotation_rad=(0.1,))


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="left_2cm"):
        SET.named("left_2m")


@settings(deadline=None)
@given(axis=st.integers(0, 5), amount=st.floats(-2, 2))
def test_the_nearest_primitive_has_the_sign_and_no_other_is_nearer(
    axis: int, amount: float
) -> None:
    found = SET.along(axis, amount)
    levels = np.array(SET.amounts(axis))
    if found is None:
        assert abs(amount) < levels[0] / 2
        return
    assert np.sign(found.amount) == np.sign(amount)
    ratios = np.abs(np.log(levels / abs(amount)))
    assert abs(np.log(abs(found.amount) / abs(amount))) <= ratios.min() + 1e-9


@settings(deadline=None)
@given(motion=motions, closed=st.booleans(), before=st.booleans())
def test_a_move_and_its_inverse_cancel(motion: np.ndarray, closed: bool, before: bool) -> None:
    move = SET.compose(motion, closed=closed)
    back = SET.inverse(move, closed_before=before)
    np.testing.assert_allclose(move.motion + back.motion, 0.0, atol=1e-12)
    assert back.closed is before
    assert len({p.axis for p in move.primitives}) == len(move.primitives)


def test_opposites() -> None:
    for primitive in SET:
        if primitive.kind is Kind.DONE:
            with pytest.raises(ConfigError, match="opposite"):
                SET.opposite(primitive)
        else:
            assert SET.opposite(SET.opposite(primitive)) == primitive
            assert SET.opposite(primitive) != primitive


def _walk(rng: np.random.Generator, length: int, step_m: float) -> np.ndarray:
    return np.cumsum(rng.normal(0, step_m, (length, 3)), axis=0)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), periods=st.integers(1, 8), length=st.integers(1, 80))
def test_errors_do_not_add_up(seed: int, periods: int, length: int) -> None:
    """However long and slow, what is left over stays below what one primitive may leave over."""
    rng = np.random.default_rng(seed)
    positions = _walk(rng, length, 0.002)
    rotations = matrix_from_rotvec(_walk(rng, length, 0.005))
    grippers = (rng.random(length) < 0.05).cumsum() % 2
    decisions = discretise(positions, rotations, grippers, SET, periods=periods)
    assert [d.start for d in decisions] == np.cumsum([0] + [d.count for d in decisions])[
        :-1
    ].tolist()
    assert sum(d.count for d in decisions) == length
    for d in decisions:
        commanded = grippers[d.start : d.start + d.count] > 0.5
        assert (commanded == d.move.closed).all()
    reached, turned, _ = undiscretise(positions[0], rotations[0], decisions)
    ends = [min(d.start + d.count, length - 1) for d in decisions]
    for at, R, end in zip(reached, turned, ends, strict=True):
        wanted = positions[end] - at
        # Of amounts spaced by up to 2.5 a rest of up to 0.6 of what was wanted may stay.
        assert (np.abs(wanted) < 0.6 * max(0.005, np.abs(positions).max())).all()
        assert np.linalg.norm(rotvec_from_matrix(rotations[end] @ R.T)) < 0.2


def test_small_motions_accumulate() -> None:
    """A millimetre per decision is worth none of them, and in the end nothing is missing."""
    positions = np.outer(np.arange(101) * 0.00025, [0.0, 1.0, 0.0])
    rotations = np.tile(np.eye(3), (101, 1, 1))
    decisions = discretise(positions, rotations, np.zeros(101), SET)
    moved = [d for d in decisions if d.move.primitives]
    assert 2 <= len(moved) < len(decisions) / 2
    reached, _, _ = undiscretise(positions[0], rotations[0], decisions)
    assert reached[-1][1] == pytest.approx(0.025, abs=0.0026)


def test_diagonal_motion_is_composed() -> None:
    positions = np.outer(np.arange(9), [0.005, 0.005, 0.0])
    decisions = discretise(positions, np.tile(np.eye(3), (9, 1, 1)), np.zeros(9), SET)
    assert {p.direction for p in decisions[0].move.primitives} == {"forward", "left"}


@pytest.mark.parametrize("lengths", [(0, 0, 0), (3, 2, 3), (3, 3, 4)])
def test_arrays_that_do_not_belong_together_are_refused(lengths: tuple[int, int, int]) -> None:
    a, b, c = lengths
    with pytest.raises(ConfigError, match="as many"):
        discretise(np.zeros((a, 3)), np.tile(np.eye(3), (b, 1, 1)), np.zeros(c), SET)


def test_the_gripper_stays_as_it_is_while_the_arm_moves() -> None:
    state = ROBOT.proprioception(
        joint_positions=np.zeros(7), gripper_m=0.0, ee_position=np.zeros(3), base_R_ee=np.eye(3)
    )
    servo = PrimitiveServo(ROBOT)
    servo.reset(state, closed=True)
    servo.begin(SET.compose(np.array([0, 0, 0.2, 0, 0, 0]), closed=servo.closed), state)
    action = servo.action(state)
    assert action[-1] == 1.0
    assert action[2] == pytest.approx(ROBOT.command.high[2])
    assert not servo.arrived(state)


@settings(deadline=None)
@given(motion=motions)
def test_commands_are_within_the_limits_and_keep_the_direction(motion: np.ndarray) -> None:
    state = ROBOT.proprioception(
        joint_positions=np.zeros(7), gripper_m=0.04, ee_position=np.zeros(3), base_R_ee=np.eye(3)
    )
    servo = PrimitiveServo(ROBOT)
    servo.reset(state)
    move = SET.compose(motion, closed=False)
    servo.begin(move, state)
    action = servo.action(state).astype(np.float64)
    assert (action >= np.array(ROBOT.command.low) - 1e-6).all()
    assert (action <= np.array(ROBOT.command.high) + 1e-6).all()
    shift, wanted = action[:3], move.motion[:3]
    assert shift @ wanted >= (1 - 1e-5) * np.linalg.norm(shift) * np.linalg.norm(wanted) - 1e-9


def test_a_robot_that_takes_joint_angles_is_refused() -> None:
    from robot_policy.core.specs import ActionSpace

    command = replace(ROBOT.command, action_space=ActionSpace.JOINT_POSITION)
    with pytest.raises(ConfigError, match="displacements"):
        PrimitiveServo(replace(ROBOT, command=command))
