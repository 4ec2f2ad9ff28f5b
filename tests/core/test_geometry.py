"""Group axioms and round trips of rotations and transforms."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from robot_policy.core import geometry

ANGLES = st.floats(-3.0, 3.0, allow_nan=False)
rotvecs = arrays(np.float64, 3, elements=ANGLES).filter(lambda v: np.linalg.norm(v) < 3.1)
positions = arrays(np.float64, 3, elements=st.floats(-2.0, 2.0))


@given(rotvecs)
def test_rotation_matrices_are_orthogonal(rotvec: np.ndarray) -> None:
    R = geometry.matrix_from_rotvec(rotvec)
    np.testing.assert_allclose(R @ R.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(R) == pytest.approx(1.0)


@given(rotvecs)
def test_every_representation_comes_back(rotvec: np.ndarray) -> None:
    R = geometry.matrix_from_rotvec(rotvec)
    np.testing.assert_allclose(geometry.rotvec_from_matrix(R), rotvec, atol=1e-6)
    np.testing.assert_allclose(
        geometry.matrix_from_quat(geometry.quat_from_matrix(R)), R, atol=1e-9
    )
    np.testing.assert_allclose(
        geometry.matrix_from_rot6d(geometry.rot6d_from_matrix(R)), R, atol=1e-9
    )


@pytest.mark.parametrize("axis", np.eye(3))
@pytest.mark.parametrize("angle", [0.0, 1e-9, 1e-4, np.pi - 1e-6, np.pi])
def test_angles_where_formulas_break(axis: np.ndarray, angle: float) -> None:
    R = geometry.matrix_from_rotvec(axis * angle)
    back = geometry.matrix_from_rotvec(geometry.rotvec_from_matrix(R))
    np.testing.assert_allclose(back, R, atol=1e-7)


def test_quarter_turn_about_z_maps_x_to_y() -> None:
    R = geometry.matrix_from_rotvec(np.array([0.0, 0.0, np.pi / 2]))
    np.testing.assert_allclose(R @ [1, 0, 0], [0, 1, 0], atol=1e-12)
    np.testing.assert_allclose(
        geometry.quat_from_matrix(R), [np.sqrt(0.5), 0, 0, np.sqrt(0.5)], atol=1e-12
    )


@given(rotvecs, positions)
def test_a_transform_times_its_inverse_is_identity(
    rotvec: np.ndarray, position: np.ndarray
) -> None:
    a_T_b = geometry.transform(geometry.matrix_from_rotvec(rotvec), position)
    np.testing.assert_allclose(geometry.inverse(a_T_b) @ a_T_b, np.eye(4), atol=1e-12)


def test_batches_equal_their_rows() -> None:
    rotvec = np.random.default_rng(0).normal(size=(4, 5, 3))
    R = geometry.matrix_from_rotvec(rotvec)
    assert R.shape == (4, 5, 3, 3)
    np.testing.assert_allclose(R[2, 3], geometry.matrix_from_rotvec(rotvec[2, 3]))
    np.testing.assert_allclose(
        geometry.rotvec_from_matrix(R)[1, 4], geometry.rotvec_from_matrix(R[1, 4])
    )
    assert geometry.inverse(geometry.transform(R, rotvec)).shape == (4, 5, 4, 4)


@given(rotvecs, arrays(np.float64, 3, elements=st.floats(-8.0, 8.0)))
def test_a_rotation_vector_near_another_is_of_the_same_rotation_and_nearest(
    rotvec: np.ndarray, near: np.ndarray
) -> None:
    result = geometry.rotvec_near(rotvec, near)
    np.testing.assert_allclose(
        geometry.matrix_from_rotvec(result), geometry.matrix_from_rotvec(rotvec), atol=1e-6
    )
    length = np.linalg.norm(rotvec)
    if length > 1e-3:
        for turns in (-2, -1, 0, 1, 2):
            other = rotvec * (1 + 2 * np.pi * turns / length)
            assert np.linalg.norm(result - near) <= np.linalg.norm(other - near) + 1e-9


def test_a_turn_past_half_a_turn_goes_on_near_the_last_and_jumps_without() -> None:
    angles = np.linspace(2.8, 3.6, 9)
    vectors = [
        geometry.rotvec_from_matrix(geometry.matrix_from_rotvec(np.array([a, 0, 0])))
        for a in angles
    ]
    assert np.abs(np.diff(vectors, axis=0)).max() > 5
    named = [vectors[0]]
    for vector in vectors[1:]:
        named.append(geometry.rotvec_near(vector, named[-1]))
    np.testing.assert_allclose(np.array(named)[:, 0], angles, atol=1e-6)


@given(rotvecs)
def test_the_first_name_is_of_the_same_rotation_and_steady_near_half_a_turn(
    rotvec: np.ndarray,
) -> None:
    named = geometry.rotvec_named(rotvec)
    np.testing.assert_allclose(
        geometry.matrix_from_rotvec(named), geometry.matrix_from_rotvec(rotvec), atol=1e-9
    )
    for noise in (-1e-3, 1e-3):
        down = geometry.matrix_from_rotvec(np.array([np.pi + noise, 0, 0]))
        name = geometry.rotvec_named(geometry.rotvec_from_matrix(down))
        np.testing.assert_allclose(name, [np.pi + noise, 0, 0], atol=1e-6)
