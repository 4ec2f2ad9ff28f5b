"""Finding a depth camera by the robot it sees."""

from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from calibration.depth_refinement import KIND, DepthView, refine_from_depth
from calibration.pose_difference import pose_difference
from calibration.urdf import UrdfSurface
from robot_policy.core.errors import ConfigError, DataError
from robot_policy.core.geometry import inverse, rotvec_from_matrix, transform

pytest.importorskip("open3d")


@pytest.fixture
def arm(boxes: ModuleType, tmp_path: Path) -> UrdfSurface:
    return boxes.surface(tmp_path)


@pytest.mark.parametrize("seed", range(3))
def test_a_camera_three_degrees_off_is_found(
    boxes: ModuleType, arm: UrdfSurface, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    truth = boxes.camera(rng)
    result = refine_from_depth(
        boxes.views(arm, truth, rng), boxes.displaced(truth, rng, mm=20, deg=3)
    )
    mm, deg = pose_difference(truth, result.transform("base_T_camera"))
    assert mm < 1.0
    assert deg < 0.1
    assert result.kind == KIND
    assert result.figures["agreement"] > 0.9
    assert 19 < result.figures["moved_mm"] < 21
    assert 2.9 < result.figures["moved_deg"] < 3.1


def test_the_uncertainty_is_that_of_the_error(boxes: ModuleType, arm: UrdfSurface) -> None:
    """Squared Mahalanobis distances are about 6 if the covariance is right, in the right frame."""
    distances = []
    for seed in range(4):
        rng = np.random.default_rng(10 + seed)
        truth = boxes.camera(rng)
        result = refine_from_depth(boxes.views(arm, truth, rng, count=5), truth)
        error = inverse(result.transform("base_T_camera")) @ truth
        x = np.concatenate([rotvec_from_matrix(error[:3, :3]), error[:3, 3]])
        spread = result.covariance_of("base_T_camera")
        distances.append(float(x @ np.linalg.solve(spread, x)))
    assert 0.5 < np.mean(distances) < 13.0


def test_a_wrong_scale_of_the_depth_is_found_if_asked_for(
    boxes: ModuleType, arm: UrdfSurface
) -> None:
    rng = np.random.default_rng(5)
    truth = boxes.camera(rng)
    taken = boxes.views(arm, truth, rng, count=5, scale=0.99)
    without = refine_from_depth(taken, truth)
    result = refine_from_depth(taken, truth, with_scale=True)
    assert result.values["depth_scale"] == pytest.approx(1 / 0.99, abs=0.003)
    assert result.parameters[-1] == "depth_scale"
    error = pose_difference(truth, result.transform("base_T_camera"))[0]
    assert error < 0.5 * pose_difference(truth, without.transform("base_T_camera"))[0]


def test_one_view_is_enough_but_said_to_be_little(boxes: ModuleType, arm: UrdfSurface) -> None:
    rng = np.random.default_rng(6)
    truth = boxes.camera(rng)
    result = refine_from_depth(
        boxes.views(arm, truth, rng, count=1), boxes.displaced(truth, rng, mm=8, deg=1)
    )
    assert pose_difference(truth, result.transform("base_T_camera"))[0] < 4.0
    assert any("1 view" in note for note in result.notes)


def test_what_is_no_robot_is_refused(boxes: ModuleType, arm: UrdfSurface) -> None:
    rng = np.random.default_rng(7)
    truth = boxes.camera(rng)
    taken = boxes.views(arm, truth, rng, count=3)
    empty = [
        DepthView(v.depth_m.max(axis=0) * np.ones_like(v.depth_m), boxes.K, v.robot) for v in taken
    ]
    with pytest.raises(DataError, match="robot"):
        refine_from_depth(empty, truth)
    elsewhere = arm.posed({"shoulder": -1.5, "elbow": 1.2, "slide": 0.0})
    lying = [
        replace(v, robot=elsewhere.moved(transform(np.eye(3), np.array([0, 0.25, 0]))))
        for v in taken
    ]
    with pytest.raises(DataError, match="robot"):
        refine_from_depth(lying, truth)
    away = truth @ transform(np.diag([-1.0, 1.0, -1.0]), np.zeros(3))
    with pytest.raises(DataError, match="no part of the robot is in view"):
        refine_from_depth(taken, away)


def test_no_views_and_mixed_sizes_are_refused(boxes: ModuleType, arm: UrdfSurface) -> None:
    rng = np.random.default_rng(8)
    truth = boxes.camera(rng)
    with pytest.raises(ConfigError, match="no depth image"):
        refine_from_depth([], truth)
    (view,) = boxes.views(arm, truth, rng, count=1)
    with pytest.raises(ConfigError, match="another size"):
        refine_from_depth([view, replace(view, depth_m=view.depth_m[:60])], truth)
