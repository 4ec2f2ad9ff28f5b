"""Pictures of how well the robot fits."""

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from calibration.overlay import BAD, GOOD, depth_picture, draw_distances, draw_robot

pytest.importorskip("open3d")


def test_a_right_pose_is_green_and_a_wrong_one_is_not(boxes: ModuleType, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    robot = boxes.surface(tmp_path).posed({"shoulder": 0.3, "elbow": 0.5, "slide": 0.0})
    truth = boxes.camera(rng)
    depth = boxes.measured(boxes.scene(robot), truth)
    right = draw_distances(depth, robot, truth, boxes.K)
    wrong = draw_distances(depth, robot, boxes.displaced(truth, rng, mm=40, deg=4), boxes.K)
    on_robot = right.any(axis=-1)
    assert on_robot.sum() > 500
    np.testing.assert_allclose(right[on_robot], np.broadcast_to(GOOD, (on_robot.sum(), 3)), atol=2)
    assert wrong[..., 0].mean() > 3 * right[..., 0].mean(), "red where it is off"


def test_the_outline_is_where_the_robot_ends(boxes: ModuleType, tmp_path: Path) -> None:
    robot = boxes.surface(tmp_path).posed({"shoulder": 0.3, "elbow": 0.5, "slide": 0.0})
    truth = boxes.camera(np.random.default_rng(1))
    depth = boxes.measured(boxes.scene(robot), truth)
    image = depth_picture(depth)
    assert image.shape == (boxes.HEIGHT, boxes.WIDTH, 3)
    drawn = draw_robot(image, robot, [(truth, BAD)], boxes.K)
    outline = (drawn == BAD).all(axis=-1)
    assert 100 < outline.sum() < 0.1 * boxes.HEIGHT * boxes.WIDTH
    rows, columns = np.nonzero(outline)
    jumps = np.array(
        [
            np.ptp(depth[max(r - 2, 0) : r + 3, max(c - 2, 0) : c + 3])
            for r, c in zip(rows, columns, strict=True)
        ]
    )
    assert np.mean(jumps > 0.04) > 0.9, "where depth jumps"
    assert not np.array_equal(image, drawn)
