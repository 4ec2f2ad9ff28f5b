"""The way from one chunk into the next ends where the new one wants the arm."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robot_policy.core.geometry import matrix_from_rotvec, rotvec_from_matrix
from robot_policy.core.specs import ActionSpace
from robot_policy.runtime.seam import blended

HORIZON = 10


def chunk(rng: np.random.Generator, length: int, space: ActionSpace) -> np.ndarray:
    turn = 0.3 if space.is_delta else 2.0
    motion = rng.uniform(-1, 1, (length, 6)) * ([0.05] * 3 + [turn] * 3)
    return np.concatenate([motion, rng.uniform(0, 1, (length, 1))], axis=1).astype(np.float32)


def reached(actions: np.ndarray, space: ActionSpace) -> tuple[np.ndarray, np.ndarray]:
    """Position and orientation after all of them, begun at zero."""
    if not space.is_delta:
        return actions[-1, :3], matrix_from_rotvec(actions[-1, 3:6])
    R = np.eye(3)
    for turn in actions[:, 3:6]:
        R = matrix_from_rotvec(turn) @ R
    return actions[:, :3].sum(axis=0), R


@pytest.mark.parametrize("space", [ActionSpace.EE_DELTA_POSE, ActionSpace.EE_POSE])
@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**20),
    executed=st.integers(0, 8),
    steps=st.integers(1, 9),
    left=st.integers(1, 5),
)
def test_after_the_blend_the_arm_is_where_the_new_chunk_wants_it(
    space: ActionSpace, seed: int, executed: int, steps: int, left: int
) -> None:
    rng = np.random.default_rng(seed)
    new, done, old = (chunk(rng, n, space) for n in (HORIZON, executed, left))
    joined = blended(new, executed=done, old=old, steps=steps, space=space)
    end = min(executed + steps, HORIZON)
    position, R = reached(np.concatenate([done, joined[executed:end]]), space)
    expected_position, expected_R = reached(new[:end], space)
    np.testing.assert_allclose(position, expected_position, atol=1e-6)
    np.testing.assert_allclose(R, expected_R, atol=1e-5)
    np.testing.assert_array_equal(joined[end:], new[end:])
    assert joined[end - 1, -1] == pytest.approx(new[end - 1, -1], abs=1e-6)


@pytest.mark.parametrize("space", list(ActionSpace))
def test_two_chunks_that_agree_are_left_alone(space: ActionSpace) -> None:
    rng = np.random.default_rng(1)
    new = chunk(rng, HORIZON, space)
    joined = blended(new, executed=new[:3], old=new[3:8], steps=4, space=space)
    np.testing.assert_allclose(joined, new, atol=1e-6)


@pytest.mark.parametrize(("steps", "executed", "old"), [(0, 2, 5), (4, 0, 0), (4, HORIZON - 1, 0)])
def test_what_cannot_be_blended_is_switched_to(steps: int, executed: int, old: int) -> None:
    """Without steps, with nothing to come from; and a single step is the whole way at once."""
    rng, space = np.random.default_rng(2), ActionSpace.EE_POSE
    new = chunk(rng, HORIZON, space)
    joined = blended(
        new,
        executed=chunk(rng, executed, space),
        old=chunk(rng, old, space),
        steps=steps,
        space=space,
    )
    np.testing.assert_allclose(joined, new, atol=1e-6)


def test_a_path_that_ends_goes_on_beside_the_new_one() -> None:
    """At one speed, a millimetre apart: the blend closes that and changes nothing else."""
    new = np.zeros((HORIZON, 7), np.float32)
    new[:, 0] = 0.01
    done, old = new[:2].copy(), new[2:3].copy()
    done[0, 0] += 0.001
    joined = blended(new, executed=done, old=old, steps=6, space=ActionSpace.EE_DELTA_POSE)
    extra = joined[2:, 0] - new[2:, 0]
    assert extra.sum() == pytest.approx(-0.001, abs=1e-7)
    assert (extra[:6] < 1e-9).all()
    assert np.abs(extra).max() < 0.0004
    np.testing.assert_allclose(extra[6:], 0.0)


def test_targets_leave_the_old_path_slowly() -> None:
    """Joint targets: between the paths, closer and closer to the new one."""
    old, new = np.zeros((8, 8), np.float32), np.ones((8, 8), np.float32)
    joined = blended(new, executed=old[:2], old=old, steps=4, space=ActionSpace.JOINT_POSITION)
    way = joined[2:6, 0]
    np.testing.assert_allclose(way, [0.103515625, 0.5, 0.896484375, 1.0], atol=1e-6)


def test_orientations_take_the_short_way() -> None:
    """From 170 to -170 degrees through 180, not through 0."""
    old, new = np.zeros((4, 7), np.float32), np.zeros((4, 7), np.float32)
    old[:, 3], new[:, 3] = np.deg2rad(170), np.deg2rad(-170)
    joined = blended(new, executed=old[:0], old=old, steps=2, space=ActionSpace.EE_POSE)
    turned = rotvec_from_matrix(matrix_from_rotvec(joined[0, 3:6].astype(float)))
    assert np.linalg.norm(turned) == pytest.approx(np.pi, abs=1e-4)
