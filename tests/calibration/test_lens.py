"""Lenses: derivatives, rays, and ROS's file."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calibration.camera_info import read_camera_info, write_camera_info
from calibration.lens import Lens, LensModel
from robot_policy.core.errors import DataError

COEFFICIENTS = {
    LensModel.PLUMB_BOB: [-0.25, 0.1, 1e-3, -2e-3, 0.02],
    LensModel.RATIONAL: [0.1, 0.1, 1e-3, 1e-3, 0.01, 0.2, 0.1, 0.01],
    LensModel.FISHEYE: [0.05, -0.01, 3e-3, -1e-3],
}


def lens(model: LensModel) -> Lens:
    return Lens(model, 640, 480, np.array([500.0, 510.0, 322.0, 236.0, *COEFFICIENTS[model]]))


@pytest.mark.parametrize("model", LensModel)
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_derivatives_and_rays(model: LensModel, seed: int) -> None:
    camera = lens(model)
    points = np.random.default_rng(seed).normal(size=(5, 3)) * [0.2, 0.2, 0.1] + [0, 0, 1]
    pixels, by_point, by_parameter = camera.project_with_jacobians(points)
    for k in range(3):
        step = 1e-6 * np.eye(3)[k]
        slope = (camera.project(points + step) - camera.project(points - step)) / 2e-6
        np.testing.assert_allclose(by_point[..., k], slope, rtol=1e-4, atol=1e-2)
    for k in range(len(camera.parameters)):
        step = 1e-6 * np.eye(len(camera.parameters))[k]
        ahead, behind = (Lens(model, 640, 480, camera.parameters + s) for s in (step, -step))
        slope = (ahead.project(points) - behind.project(points)) / 2e-6
        np.testing.assert_allclose(by_parameter[..., k], slope, rtol=1e-4, atol=1e-2)
    np.testing.assert_allclose(camera.rays(pixels), points[:, :2] / points[:, 2:], atol=1e-9)


@pytest.mark.parametrize("model", LensModel)
def test_camera_info_comes_back(model: LensModel, tmp_path: Path) -> None:
    write_camera_info(tmp_path / "a.yaml", lens(model), camera="wrist")
    back = read_camera_info(tmp_path / "a.yaml")
    assert (back.model, back.width, back.height) == (model, 640, 480)
    np.testing.assert_array_equal(back.parameters, lens(model).parameters)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("plumb_bob", "thin_prism", "not a camera info.*valid: plumb_bob"),
        ("camera_matrix", "matrix", "not a camera info"),
        ("500.0, 0.0", "500.0, 3.0", "a skewed camera"),
        ("[500.0", "[0.0", "not calibrated"),
    ],
)
def test_a_damaged_camera_info_is_named(old: str, new: str, message: str, tmp_path: Path) -> None:
    write_camera_info(tmp_path / "a.yaml", lens(LensModel.PLUMB_BOB), camera="wrist")
    text = (tmp_path / "a.yaml").read_text()
    assert old in text
    (tmp_path / "a.yaml").write_text(text.replace(old, new, 1))
    with pytest.raises(DataError, match=message):
        read_camera_info(tmp_path / "a.yaml")
