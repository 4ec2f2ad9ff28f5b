"""The simulated arm as a surface, its depth images, and cameras that are moved."""

from collections.abc import Iterator

import numpy as np
import pytest

from calibration.ray_caster import RayCaster
from robot_policy.core.errors import DataError, UnknownNameError
from robot_policy.core.geometry import matrix_from_rotvec, transform
from sim.envs.robosuite_arm import RobosuiteArm
from sim.registry import make_environment
from sim.robot_surface import TwinSurface

pytest.importorskip("open3d")

SIZE = {"height": 120, "width": 160}


@pytest.fixture(scope="module")
def arm() -> Iterator[RobosuiteArm]:
    environment = make_environment("lift")
    yield environment
    environment.close()


def joints(arm: RobosuiteArm) -> dict[str, float]:
    names = (*arm.robot.joint_names, arm.robot.gripper.joint)
    return dict(zip(names, (*arm.joint_positions, arm.gripper_m), strict=True))


def test_ray_casting_of_the_surface_agrees_with_the_depth_image(arm: RobosuiteArm) -> None:
    """One comes from triangles and kinematics, the other from OpenGL."""
    arm.reset(0)
    for _ in range(5):
        arm.step(np.array([0.03, 0.05, 0.02, 0.1, 0.2, 0.3, 1.0], dtype=np.float32))
    surface = TwinSurface(arm).posed(joints(arm))
    info = arm.camera_info("frontview", **SIZE)
    seen = RayCaster(surface).look(info.base_T_camera, info.intrinsics, **SIZE)
    depth = arm.render_depth("frontview", **SIZE)
    difference = np.abs(depth[seen.rows, seen.columns] - seen.depth_m)
    assert len(seen) > 500
    assert np.mean(difference < 1e-3) > 0.97, "up to outlines, and the cube in front"
    assert depth.min() > 0.3


def test_a_camera_is_where_it_is_put(arm: RobosuiteArm) -> None:
    arm.reset(1)
    before = arm.render_depth("agentview", **SIZE)
    pose = arm.camera_info("agentview", **SIZE).base_T_camera
    moved = transform(
        matrix_from_rotvec(np.array([0.02, -0.01, 0.03])) @ pose[:3, :3],
        pose[:3, 3] + [0.03, 0.0, 0.01],
    )
    arm.move_camera("agentview", moved)
    np.testing.assert_allclose(arm.camera_info("agentview", **SIZE).base_T_camera, moved, atol=1e-9)
    assert np.abs(arm.render_depth("agentview", **SIZE) - before).mean() > 1e-3
    arm.move_camera("agentview", pose)
    np.testing.assert_allclose(arm.render_depth("agentview", **SIZE), before, atol=1e-6)


def test_the_wrist_camera_keeps_its_new_place_on_the_hand(arm: RobosuiteArm) -> None:
    arm.reset(1)
    pose = arm.camera_info("wrist", **SIZE).base_T_camera
    arm.move_camera("wrist", pose @ transform(np.eye(3), np.array([0.01, 0.0, 0.02])))
    ee_T_camera = np.linalg.inv(arm.ee_pose) @ arm.camera_info("wrist", **SIZE).base_T_camera
    for _ in range(4):
        arm.step(np.array([0.05, 0.05, 0.0, 0.2, 0.0, 0.0, 0.0], dtype=np.float32))
    after = np.linalg.inv(arm.ee_pose) @ arm.camera_info("wrist", **SIZE).base_T_camera
    np.testing.assert_allclose(after, ee_T_camera, atol=1e-9)
    arm.move_camera("wrist", arm.ee_pose @ after)


def test_unknown_cameras_and_missing_joints_are_named(arm: RobosuiteArm) -> None:
    with pytest.raises(UnknownNameError, match="agentview"):
        arm.move_camera("agentvieww", np.eye(4))
    with pytest.raises(UnknownNameError, match="agentview"):
        arm.render_depth("agentvieww", **SIZE)
    with pytest.raises(DataError, match="panda_joint1"):
        TwinSurface(arm).posed({})
