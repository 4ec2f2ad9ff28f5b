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
