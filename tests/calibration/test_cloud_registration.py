"""Two depth cameras that look at the same scene."""

from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from calibration.cloud_registration import DepthPair, register_cameras
from calibration.pose_difference import pose_difference
from calibration.ray_caster import RayCaster
from robot_policy.core.errors import ConfigError, DataError
from robot_policy.core.geometry import inverse

pytest.importorskip("open3d")


def test_the_second_camera_is_found_from_the_first(boxes: ModuleType, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    robot = boxes.surface(tmp_path).posed({"shoulder": 0.3, "elbow": 0.5, "slide": 0.0})
    first, second = boxes.camera(rng), boxes.camera(rng)
    pair = DepthPair(
        boxes.measured(boxes.scene(robot), first, rng),
        boxes.K,
        boxes.measured(boxes.scene(robot), second, rng),
        boxes.K,
    )
    truth = inverse(first) @ second
    result = register_cameras([pair], boxes.displaced(truth, rng, mm=20, deg=2))
    mm, deg = pose_difference(truth, result.transform("first_T_second"))
    assert mm < 4.0
    assert deg < 0.3
    assert mm < 4.0 * result.figures["sd_mm"]
    nothing = replace(pair, second_m=np.zeros((boxes.HEIGHT, boxes.WIDTH)))
    with pytest.raises(DataError, match="too few points"):
        register_cameras([nothing], truth)
    with pytest.raises(ConfigError, match="no pair"):
        register_cameras([], truth)


def test_a_wall_alone_is_refused(boxes: ModuleType, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    robot = boxes.surface(tmp_path).posed({"shoulder": 0.3, "elbow": 0.5, "slide": 0.0})
    wall = replace(robot, vertices=robot.vertices * 0.0 + [0.0, 0.0, 0.3])
    wall = replace(
        wall,
        vertices=np.array([[-0.2, -2, -2], [-0.2, 2, -2], [-0.2, 2, 3], [-0.2, -2, 3]]),
        triangles=np.array([[0, 1, 2], [0, 2, 3]]),
    )
    first, second = boxes.camera(rng), boxes.camera(rng)
    images = [boxes.measured(RayCaster(wall), pose, rng) for pose in (first, second)]
    with pytest.raises(DataError, match=r"can (turn|slide) along each other"):
        register_cameras(
            [DepthPair(images[0], boxes.K, images[1], boxes.K)], inverse(first) @ second
        )
