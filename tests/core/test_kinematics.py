"""Chains of joints: poses, Jacobians, and what comes out of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from robot_policy.core.errors import SpecError
from robot_policy.core.geometry import matrix_from_rotvec, rotvec_from_matrix, transform
from robot_policy.core.kinematics import KinematicChain, Placement

finite = st.floats(-2.0, 2.0)
triples = st.tuples(finite, finite, finite)
angles = st.floats(-3.0, 3.0)
placements = st.builds(Placement, triples, triples)


@st.composite
def chains(draw: st.DrawFn) -> KinematicChain:
    joints = draw(st.integers(2, 7))
    axes = draw(arrays(np.float64, (joints, 3), elements=st.floats(0.1, 1.0)))
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    frames = [draw(placements).matrix for _ in range(joints)]
    return KinematicChain(frames, axes, draw(placements).matrix)


def angles_for(chain: KinematicChain, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1.5, 1.5, len(chain))


@given(triples)
def test_roll_pitch_yaw_turn_about_fixed_axes(rpy: tuple[float, float, float]) -> None:
    roll, pitch, yaw = np.diag(rpy)
    expected = matrix_from_rotvec(yaw) @ matrix_from_rotvec(pitch) @ matrix_from_rotvec(roll)
    np.testing.assert_allclose(Placement(rpy=rpy).matrix[:3, :3], expected, atol=1e-12)


def test_a_planar_arm_is_where_trigonometry_says() -> None:
    """Two links of 1 m and 0.5 m in the x-y plane."""
    frames = [np.eye(4), transform(np.eye(3), np.array([1.0, 0, 0]))]
    chain = KinematicChain(frames, np.array([[0, 0, 1.0]] * 2), Placement((0.5, 0, 0)).matrix)
    a, b = 0.3, -1.1
    x = np.cos(a) + 0.5 * np.cos(a + b)
    y = np.sin(a) + 0.5 * np.sin(a + b)
    np.testing.assert_allclose(chain.pose(np.array([a, b]))[:3, 3], [x, y, 0], atol=1e-12)
    rotation = rotvec_from_matrix(chain.pose(np.array([a, b]))[:3, :3])
    np.testing.assert_allclose(rotation, [0, 0, a + b], atol=1e-9)


@given(chains(), st.integers(0, 100))
def test_the_jacobian_is_the_derivative_of_the_pose(chain: KinematicChain, seed: int) -> None:
    q, step = angles_for(chain, seed), 1e-6
    J = chain.jacobian(q)
    for i, dq in enumerate(step * np.eye(len(chain))):
        before, after = chain.pose(q - dq), chain.pose(q + dq)
        shift = (after[:3, 3] - before[:3, 3]) / (2 * step)
        turn = rotvec_from_matrix(after[:3, :3] @ before[:3, :3].T) / (2 * step)
        np.testing.assert_allclose(J[:, i], [*shift, *turn], atol=1e-5)


@given(chains())
def test_poses_of_many_angles_are_those_of_each(chain: KinematicChain) -> None:
    q = np.stack([angles_for(chain, seed) for seed in range(3)])
    many = chain.pose(q)
    np.testing.assert_allclose(many, [chain.pose(one) for one in q], atol=1e-12)
    np.testing.assert_allclose(many[:, 3], [[0, 0, 0, 1]] * 3, atol=1e-12)


@given(chains(), arrays(np.float64, 6, elements=finite))
def test_joint_motions_are_bounded_also_where_the_arm_is_singular(
    chain: KinematicChain, motion: np.ndarray
) -> None:
    for q in (np.zeros(len(chain)), angles_for(chain)):
        joints = chain.joint_motion(q) @ motion
        assert np.linalg.norm(joints) <= 10.0 * np.linalg.norm(motion) + 1e-9


def test_a_small_motion_is_made_by_the_joint_motion() -> None:
    from robot_policy.core.robot import load_robot

    chain = load_robot("panda_twin").kinematics
    assert chain is not None
    q = np.array([0.1, 0.3, -0.2, -2.0, 0.3, 2.3, 0.8])
    motion = np.array([1e-3, -2e-3, 1e-3, 2e-3, 0, -1e-3])
    before, after = chain.pose(q), chain.pose(q + chain.joint_motion(q) @ motion)
    shift = after[:3, 3] - before[:3, 3]
    turn = rotvec_from_matrix(after[:3, :3] @ before[:3, :3].T)
    np.testing.assert_allclose([*shift, *turn], motion, atol=1e-4)
    # The answer for one state is not given for another.
    assert not np.array_equal(chain.joint_motion(q), chain.joint_motion(q + 0.1))


def test_wrong_axes_are_refused() -> None:
    with pytest.raises(SpecError, match="axis of joint 2: not a unit vector"):
        KinematicChain([np.eye(4)] * 2, np.array([[0, 0, 1.0], [0, 0, 2.0]]), np.eye(4))
    with pytest.raises(SpecError, match="at least one joint"):
        KinematicChain([], np.empty((0, 3)), np.eye(4))
