"""A robot's surface out of a URDF, against another reader of URDFs."""

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from calibration.urdf import UrdfSurface
from robot_policy.core.errors import ConfigError, DataError

pytest.importorskip("open3d")


def test_links_are_where_mujoco_has_them(boxes: ModuleType, tmp_path: Path) -> None:
    mujoco: Any = pytest.importorskip("mujoco")
    arm = boxes.surface(tmp_path)
    moments = '<inertia ixx="1" iyy="1" izz="1" ixy="0" ixz="0" iyz="0"/>'
    inertia = f'<inertial><mass value="1"/>{moments}</inertial><visual>'
    options = '<mujoco><compiler fusestatic="false" discardvisual="false"/></mujoco>'
    text = boxes.URDF.replace("<visual>", inertia).replace("</robot>", f"{options}</robot>")
    model = mujoco.MjModel.from_xml_string(text)
    data = mujoco.MjData(model)
    joints = {"shoulder": 0.4, "elbow": -0.7, "slide": 0.03}
    for name, value in joints.items():
        data.qpos[model.joint(name).qposadr[0]] = value
    mujoco.mj_kinematics(model, data)
    vertices = arm.posed(joints).vertices
    finger = vertices[-8:]
    np.testing.assert_allclose(finger.mean(axis=0), data.geom_xpos[model.ngeom - 1], atol=1e-6)
    R = data.geom_xmat[model.ngeom - 1].reshape(3, 3)
    extent = np.abs((finger - finger.mean(axis=0)) @ R).max(axis=0)
    np.testing.assert_allclose(extent, [0.03, 0.01, 0.015], atol=1e-6)


def test_meshes_of_packages_and_mimicking_joints_are_read(
    boxes: ModuleType, tmp_path: Path
) -> None:
    (tmp_path / "robot_description/meshes").mkdir(parents=True)
    (tmp_path / "robot_description/meshes/a.obj").write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n")
    urdf = tmp_path / "robot_description/urdf/robot.urdf"
    urdf.parent.mkdir()
    name = "package://robot_description/meshes/a.obj"
    mesh = f'<visual><geometry><mesh filename="{name}" scale="2 2 2"/></geometry></visual>'
    urdf.write_text(
        f'<robot name="r"><link name="a"/><link name="b"/><link name="c">{mesh}</link>'
        '<joint name="one" type="prismatic"><parent link="a"/><child link="b"/>'
        '<axis xyz="0 0 2"/></joint>'
        '<joint name="two" type="prismatic"><parent link="b"/><child link="c"/><axis xyz="0 0 1"/>'
        '<mimic joint="one" multiplier="-0.5" offset="0.1"/></joint></robot>'
    )
    vertices = UrdfSurface(urdf).posed({"one": 0.2}).vertices
    np.testing.assert_allclose(vertices.max(axis=0), [2.0, 2.0, 0.2 - 0.1 + 0.1])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("</robot>", "", "not XML"),
        ("<robot", "<sdf", "not XML|not a URDF"),
        ('type="revolute"', 'type="planar"', "valid: revolute"),
        ('size="0.16 0.14 0.2"', 'size="0.16 0.14"', "3 numbers"),
        ('size="0.16 0.14 0.2"', 'size="a b c"', "not numbers"),
        ('<box size="0.16 0.14 0.2"/>', '<mesh filename="package://x/y.stl"/>', "mesh is missing"),
        ('<box size="0.16 0.14 0.2"/>', '<capsule radius="1"/>', "'capsule' is not known"),
    ],
)
def test_what_is_wrong_with_a_urdf_is_said(
    boxes: ModuleType, tmp_path: Path, old: str, new: str, message: str
) -> None:
    path = tmp_path / "r.urdf"
    path.write_text(boxes.URDF.replace(old, new))
    with pytest.raises(ConfigError, match=message):
        UrdfSurface(path)


def test_missing_files_links_and_joints_are_named(boxes: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        UrdfSurface(tmp_path / "none.urdf")
    arm = boxes.surface(tmp_path)
    with pytest.raises(ConfigError, match="valid: base"):
        UrdfSurface(tmp_path / "boxes.urdf", base="pelvis")
    with pytest.raises(DataError, match="joint 'slide' is missing"):
        arm.posed({"shoulder": 0.0, "elbow": 0.0})
