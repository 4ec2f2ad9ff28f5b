"""Scale and bias of a depth camera."""

import numpy as np
import pytest

from calibration.depth_fit import KnownDistances, corrected, fit_depth, on_plane
from robot_policy.core.errors import DataError
from robot_policy.core.geometry import inverse, matrix_from_rotvec, transform

K = np.array([[200.0, 0, 79.5], [0, 200.0, 59.5], [0, 0, 1]])
CORNERS = np.array([[0, 0], [0.2, 0], [0.2, 0.15], [0, 0.15]])


def board_image(distance_m: float, tilt: float) -> tuple[np.ndarray, np.ndarray]:
    """Depth of a board before a wall, computed corner by corner, and where the board is."""
    camera_T_board = transform(
        matrix_from_rotvec(np.array([tilt, -0.5 * tilt, 0.2])), np.array([-0.1, -0.07, distance_m])
    )
    depth = np.full((120, 160), 3.0)
    board_T_camera = inverse(camera_T_board)
    for row in range(120):
        for column in range(160):
            ray = np.linalg.inv(K) @ [column, row, 1.0]
            direction, origin = board_T_camera[:3, :3] @ ray, board_T_camera[:3, 3]
            z = -origin[2] / direction[2]
            x, y = (origin + z * direction)[:2]
            if 0 <= x <= 0.2 and 0 <= y <= 0.15:
                depth[row, column] = z
    return depth, camera_T_board


def test_pixels_on_the_board_are_found_with_their_distances() -> None:
    depth, camera_T_board = board_image(0.6, 0.4)
    known = on_plane(depth, K, camera_T_plane=camera_T_board, corners=CORNERS)
    assert len(known.measured_m) == (depth < 3.0).sum() > 500
    np.testing.assert_allclose(known.measured_m, known.expected_m, atol=1e-9)
    backwards = on_plane(depth, K, camera_T_plane=camera_T_board, corners=CORNERS[::-1])
    assert len(backwards.measured_m) == len(known.measured_m)


def known(rng: np.random.Generator, *distances: float) -> list[KnownDistances]:
    """A camera that measures (d - 0.004) / 1.02 with noise, a share of it outliers."""
    taken = []
    for distance in distances:
        true = distance + rng.uniform(-0.03, 0.03, 400)
        measured = (true - 0.004) / 1.02 + rng.normal(scale=0.001, size=400)
        measured[:20] += 0.2
        taken.append(KnownDistances(measured, true))
    return taken


def test_scale_and_bias_are_found_within_what_is_claimed() -> None:
    result = fit_depth(known(np.random.default_rng(0), 0.4, 0.6, 0.8, 1.0, 1.2))
    error = np.array([result.values["depth_scale"] - 1.02, result.values["depth_bias_m"] - 0.004])
    assert np.abs(error[0]) < 2e-3
    assert error @ np.linalg.solve(result.covariance, error) < 12.0
    assert result.figures["after_mm"] < result.figures["before_mm"]
    depth = np.array([[0.0, (0.7 - 0.004) / 1.02]], dtype=np.float32)
    np.testing.assert_allclose(corrected(depth, result), [[0.0, 0.7]], atol=2e-3)


def test_one_distance_gives_the_bias_alone_and_says_so() -> None:
    result = fit_depth(known(np.random.default_rng(1), 0.8))
    assert result.values["depth_scale"] == 1.0
    assert result.parameters == ("depth_bias_m",)
    assert "only the bias" in result.notes[0]
    assert result.values["depth_bias_m"] == pytest.approx(0.8 - (0.8 - 0.004) / 1.02, abs=1e-3)


def test_other_units_and_too_few_points_are_refused() -> None:
    (view,) = known(np.random.default_rng(2), 0.8)
    with pytest.raises(DataError, match="millimetres, and was read as metres"):
        fit_depth([KnownDistances(1000 * view.measured_m, view.expected_m)])
    with pytest.raises(DataError, match="too few points"):
        fit_depth([KnownDistances(view.measured_m[:5], view.expected_m[:5])])
    with pytest.raises(DataError, match="too few points"):
        fit_depth([])
