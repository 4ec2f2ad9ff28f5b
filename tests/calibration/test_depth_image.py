"""What the numbers of a depth image mean."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.depth_image import depth_in_metres, points_of
from calibration.moving_pixels import moving_pixels
from robot_policy.core.errors import DataError


@given(st.integers(0, 2**32 - 1))
def test_points_project_back_to_their_pixels(seed: int) -> None:
    rng = np.random.default_rng(seed)
    K = np.array([[rng.uniform(50, 500), 0.3, 10], [0, rng.uniform(50, 500), 7], [0, 0, 1]])
    depth = rng.uniform(0.3, 2.0, (12, 20)) * (rng.random((12, 20)) > 0.3)
    points = points_of(depth, K)
    assert len(points) == (depth > 0).sum()
    uvw = points.xyz @ K.T
    np.testing.assert_allclose(uvw[:, 0] / uvw[:, 2], points.columns, atol=1e-9)
    np.testing.assert_allclose(uvw[:, 1] / uvw[:, 2], points.rows, atol=1e-9)
    np.testing.assert_allclose(points.xyz[:, 2], depth[points.rows, points.columns])


def test_integers_are_millimetres_and_floats_metres() -> None:
    raw = np.array([[0, 500], [1500, 700]], dtype=np.uint16)
    np.testing.assert_allclose(depth_in_metres(raw, where="x"), raw / 1000.0)
    metres = np.array([[np.nan, 0.5], [np.inf, -1.0]])
    np.testing.assert_allclose(depth_in_metres(metres, where="x"), [[0, 0.5], [0, 0]])


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (np.full((4, 4), 812.0), "millimetres, and was read as metres"),
        (np.ones((4, 4), dtype=np.uint16), "metres, and was read as millimetres"),
        (np.zeros((4, 4), dtype=np.uint16), "no depth was measured"),
        (np.full((4, 4), np.nan), "no depth was measured"),
        (np.zeros((4, 4, 3), dtype=np.uint8), "not a depth image"),
        (np.full((4, 4), 128, dtype=np.uint8), "not a depth image"),
        (np.full((4, 4), 60000, dtype=np.uint16), "not in millimetres"),
        (np.full((4, 4), 1e-4), "not in metres"),
    ],
)
def test_other_units_and_no_depth_are_recognised(raw: np.ndarray, message: str) -> None:
    with pytest.raises(DataError, match=message):
        depth_in_metres(raw, where="depth.png")


def test_what_moves_is_told_from_what_stands() -> None:
    background = np.full((10, 30), 2.0, dtype=np.float32)
    images = []
    for start in (0, 10, 20):
        image = background.copy()
        image[:, start : start + 10] = 1.0
        image[0, 5] = 0.0
        images.append(image)
    masks = moving_pixels(images)
    for start, mask in zip((0, 10, 20), masks, strict=True):
        expected = np.zeros((10, 30), dtype=bool)
        expected[:, start : start + 10] = True
        expected[0, 5] = False
        np.testing.assert_array_equal(mask, expected)
    assert moving_pixels(images[:2])[0].sum() == 299, "two images tell nothing apart"
