"""A robot's visible surface out of its URDF."""

import importlib
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibration.meshes import Mesh, joined
from robot_policy.core.errors import ConfigError, DataError
from robot_policy.core.geometry import matrix_from_rotvec, transform

type Array = NDArray[np.floating]

_TURNING = ("revolute", "continuous")
_SLIDING = ("prismatic",)
_FIXED = ("fixed",)


@dataclass(frozen=True, slots=True, eq=False)
class UrdfJoint:
    """One joint.

    Attributes:
        name: Of the joint, or of the one that it mimics.
        kind: ``revolute``, ``continuous``, ``prismatic`` or ``fixed``.
        parent: Name of a link.
        child: Likewise.
        parent_T_joint: (4, 4) at position 0.
        axis: (3,) in the frame of the joint, of length 1.
        factor: Its position is that of `name` times this,
        offset: plus this.
    """

    name: str
    kind: str
    parent: str
    child: str
    parent_T_joint: Array
    axis: Array
    factor: float = 1.0
    offset: float = 0.0

    def pose_of_child(self, joints: Mapping[str, float]) -> Array:
        """Returns where the child is.

        Raises:
            DataError: If the position is missing.
        """
        if self.kind in _FIXED:
            return self.parent_T_joint
        if self.name not in joints:
            raise DataError(f"joint {self.name!r} is missing", where="joints", valid=joints)
        position = self.factor * joints[self.name] + self.offset
        if self.kind in _TURNING:
            motion = transform(matrix_from_rotvec(position * self.axis), np.zeros(3))
        else:
            motion = transform(np.eye(3), position * self.axis)
        return self.parent_T_joint @ motion


class UrdfSurface:
    """Links, joints and meshes of a URDF; a `RobotSurface`.

    Args:
        path: The URDF file, without xacro.
        base: Link whose frame the surface is in; the root if "".
        packages: Folders that ``package://`` names are looked up in; by default those above the
            file.

    Raises:
        ConfigError: If the file is missing or no URDF, a link or a mesh is missing, or a joint is
            of another kind.
    """

    def __init__(self, path: Path, *, base: str = "", packages: Sequence[Path] = ()) -> None:
        self._path = path
        self._packages = tuple(packages) or tuple(path.resolve().parents)
        root = _root(path)
        self.joints = urdf_joints(path)
        self.links = {
            str(link.get("name")): joined([self._visual(v) for v in link.findall("visual")])
            for link in root.findall("link")
        }
        roots = set(self.links) - {joint.child for joint in self.joints}
        self.base = base or min(roots, default="")
        if self.base not in self.links:
            raise ConfigError(f"no link {self.base!r}", where=path, valid=self.links)

    def posed(self, joints: Mapping[str, float]) -> Mesh:
        """Returns the surface of everything that hangs on the base, in its frame.

        Args:
            joints: Joint name to position, [rad] or [m].

        Raises:
            DataError: If a joint is missing.
        """
        base_T = {self.base: np.eye(4)}
        waiting = [self.base]
        while waiting:
            parent = waiting.pop()
            for joint in self.joints:
                if joint.parent == parent:
                    base_T[joint.child] = base_T[parent] @ joint.pose_of_child(joints)
                    waiting.append(joint.child)
        return joined([self.links[name].moved(pose) for name, pose in base_T.items()])

    def _visual(self, element: ElementTree.Element) -> Mesh:
        geometry = element.find("geometry")
        shape = None if geometry is None else next(iter(geometry), None)
        if shape is None:
            raise ConfigError("a visual without geometry", where=self._path)
        return self._shape(shape).moved(_origin(element))

    def _shape(self, shape: ElementTree.Element) -> Mesh:
        o3d: Any = importlib.import_module("open3d")
        create = o3d.geometry.TriangleMesh
        match shape.tag:
            case "mesh":
                scale = _numbers(shape.get("scale", "1 1 1"), 3, self._path)
                mesh = self._file(o3d, str(shape.get("filename")))
                return Mesh(mesh.vertices * scale, mesh.triangles)
            case "box":
                size = _numbers(shape.get("size", ""), 3, self._path)
                mesh = create.create_box(*size).translate(-size / 2)
            case "cylinder":
                (radius,) = _numbers(shape.get("radius", ""), 1, self._path)
                (length,) = _numbers(shape.get("length", ""), 1, self._path)
                mesh = create.create_cylinder(radius, length, 48)
            case "sphere":
                (radius,) = _numbers(shape.get("radius", ""), 1, self._path)
                mesh = create.create_sphere(radius, 48)
            case other:
                raise ConfigError(f"geometry {other!r} is not known", where=self._path)
        return Mesh(np.asarray(mesh.vertices), np.asarray(mesh.triangles))

    def _file(self, o3d: Any, name: str) -> Mesh:
        path = self._find(name)
        mesh = o3d.io.read_triangle_mesh(str(path))
        if not len(mesh.triangles):
            raise ConfigError("not a readable mesh", where=path)
        return Mesh(np.asarray(mesh.vertices), np.asarray(mesh.triangles))

    def _find(self, name: str) -> Path:
        for prefix in ("package://", "file://"):
            name = name.removeprefix(prefix)
        for folder in (self._path.resolve().parent, *self._packages):
            if (folder / name).is_file():
                return folder / name
        raise ConfigError("a mesh is missing", where=self._path, got=name)


def urdf_joints(path: Path) -> tuple[UrdfJoint, ...]:
    """Reads all joints of a URDF; no mesh is looked at.

    Raises:
        ConfigError: If the file is missing or no URDF, or a joint is of another kind.
    """
    return tuple(_joint(element, path) for element in _root(path).findall("joint"))


def _root(path: Path) -> ElementTree.Element:
    try:
        root = ElementTree.parse(path).getroot()
    except FileNotFoundError as error:
        raise ConfigError("no such file", where=path) from error
    except (ElementTree.ParseError, OSError) as error:
        raise ConfigError("not XML", where=path, got=error) from error
    if root.tag != "robot":
        raise ConfigError("not a URDF", where=path, expected="<robot>", got=f"<{root.tag}>")
    return root


def _joint(element: ElementTree.Element, path: Path) -> UrdfJoint:
    name, kind = str(element.get("name")), str(element.get("type"))
    if kind not in (*_TURNING, *_SLIDING, *_FIXED):
        valid = (*_TURNING, *_SLIDING, *_FIXED)
        raise ConfigError(f"joint {name!r} is {kind!r}", where=path, valid=valid)
    parent, child = element.find("parent"), element.find("child")
    if parent is None or child is None:
        raise ConfigError(f"joint {name!r} has no parent or child", where=path)
    axis, mimic = element.find("axis"), element.find("mimic")
    direction = _numbers("1 0 0" if axis is None else axis.get("xyz", ""), 3, path)
    return UrdfJoint(
        name=name if mimic is None else str(mimic.get("joint")),
        kind=kind,
        parent=str(parent.get("link")),
        child=str(child.get("link")),
        parent_T_joint=_origin(element),
        axis=direction / np.linalg.norm(direction),
        factor=1.0 if mimic is None else float(mimic.get("multiplier", 1.0)),
        offset=0.0 if mimic is None else float(mimic.get("offset", 0.0)),
    )


def _origin(element: ElementTree.Element) -> Array:
    """(4, 4) of an ``<origin>``: R = Rz(yaw) Ry(pitch) Rx(roll)."""
    origin = element.find("origin")
    if origin is None:
        return np.eye(4)
    roll, pitch, yaw = _numbers(origin.get("rpy", "0 0 0"), 3, "origin rpy")
    x, y, z = np.eye(3)
    R = matrix_from_rotvec(yaw * z) @ matrix_from_rotvec(pitch * y) @ matrix_from_rotvec(roll * x)
    return transform(R, _numbers(origin.get("xyz", "0 0 0"), 3, "origin xyz"))


def _numbers(text: str, count: int, where: object) -> Array:
    try:
        values = np.array([float(part) for part in text.split()])
    except ValueError as error:
        raise ConfigError("not numbers", where=where, got=text) from error
    if len(values) != count:
        raise ConfigError(f"{count} numbers are needed", where=where, got=text or "nothing")
    return values
