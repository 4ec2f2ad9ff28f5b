"""Joint limits and kinematics out of a URDF file. Meshes and everything else are ignored."""

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.parsers import expat

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.errors import ConfigError
from robot_policy.core.kinematics import KinematicChain, Placement

_TURNING = ("revolute", "continuous")


@dataclass(frozen=True, slots=True)
class UrdfJoint:
    """One joint.

    Attributes:
        name: Its name.
        kind: ``revolute``, ``continuous``, ``fixed``, ``prismatic``, …
        parent: Link that it is attached to.
        child: Link that it moves.
        placement: Joint frame in the parent link.
        axis: (3,) unit vector in the joint frame.
        low: Lower limit [rad or m]; None where there is none.
        high: Upper limit.
        velocity: Fastest [rad/s or m/s].
    """

    name: str
    kind: str
    parent: str
    child: str
    placement: Placement
    axis: tuple[float, float, float]
    low: float | None
    high: float | None
    velocity: float | None


@dataclass(frozen=True, slots=True)
class Urdf:
    """The joints of a robot, by name.

    Attributes:
        path: File, for messages.
        joints: In the order of the file.
    """

    path: Path
    joints: dict[str, UrdfJoint]

    def limits(self, names: Sequence[str]) -> dict[str, tuple[float | None, ...]]:
        """Returns ``low``, ``high`` [rad] and ``velocity`` [rad/s] of `names`, in that order.

        Raises:
            ConfigError: If the file has no such joint.
        """
        joints = [self._joint(name) for name in names]
        return {
            "low": tuple(joint.low for joint in joints),
            "high": tuple(joint.high for joint in joints),
            "velocity": tuple(joint.velocity for joint in joints),
        }

    def chain(self, base: str, end: str, names: Sequence[str]) -> KinematicChain:
        """Returns the chain from link `base` to link `end`, whose joints must be `names`.

        Raises:
            ConfigError: If there is no such link, no way between them, or another moving joint on
                the way.
        """
        by_child = {joint.child: joint for joint in self.joints.values()}
        links = {joint.parent for joint in self.joints.values()} | set(by_child)
        for link in (base, end):
            if link not in links:
                raise ConfigError(f"no link {link!r}", where=self.path, valid=sorted(links))
        way: list[UrdfJoint] = []
        link = end
        while link != base:
            if link not in by_child:
                raise ConfigError(f"link {end!r} does not hang on {base!r}", where=self.path)
            way.insert(0, by_child[link])
            link = by_child[link].parent
        moving = [joint.name for joint in way if joint.kind != "fixed"]
        if moving != list(names):
            raise ConfigError(
                f"other joints between {base!r} and {end!r}",
                where=self.path,
                expected=", ".join(names),
                got=", ".join(moving) or "none",
            )
        return self._chain(way)

    def _chain(self, way: Sequence[UrdfJoint]) -> KinematicChain:
        placements: list[NDArray[np.float64]] = []
        axes: list[tuple[float, float, float]] = []
        pending = np.eye(4)
        for joint in way:
            pending = pending @ joint.placement.matrix
            if joint.kind == "fixed":
                continue
            if joint.kind not in _TURNING:
                raise ConfigError(
                    f"joint {joint.name!r} does not turn",
                    where=self.path,
                    expected=" or ".join(_TURNING),
                    got=joint.kind,
                )
            placements.append(pending)
            axes.append(joint.axis)
            pending = np.eye(4)
        return KinematicChain(placements, np.array(axes), pending)

    def _joint(self, name: str) -> UrdfJoint:
        if name not in self.joints:
            raise ConfigError(f"no joint {name!r}", where=self.path, valid=self.joints)
        return self.joints[name]


def read_urdf(path: Path) -> Urdf:
    """Reads the joints of a URDF file.

    Document types and entities, which make a parser fetch files or use up the memory, are refused.

    Raises:
        ConfigError: If the file is missing, not a URDF, or an entry of a joint is wrong.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError("cannot be read", where=path, got=error.strerror) from error
    root = _parse(data, path)
    if root.tag != "robot":
        raise ConfigError("not a URDF", where=path, expected="<robot>", got=f"<{root.tag}>")
    if any("xacro" in element.tag for element in root):
        raise ConfigError("not a URDF but its source", where=path, hint=f"run: xacro {path}")
    joints = [_joint(element, path) for element in root.findall("joint")]
    return Urdf(path, {joint.name: joint for joint in joints})


def _parse(data: bytes, path: Path) -> ET.Element:
    def refuse(*_: object) -> None:
        raise ConfigError("document types are refused", where=path, hint="remove <!DOCTYPE …>")

    check = expat.ParserCreate()
    check.StartDoctypeDeclHandler = refuse
    try:
        check.Parse(data, True)  # entities can only be declared in a document type
        return ET.fromstring(data)
    except (expat.ExpatError, ET.ParseError) as error:
        raise ConfigError("not an XML file", where=path, got=error) from error


def _joint(element: ET.Element, path: Path) -> UrdfJoint:
    name = element.get("name", "")
    origin, axis, limit = element.find("origin"), element.find("axis"), element.find("limit")
    try:
        kind = element.attrib["type"]
        return UrdfJoint(
            name=name,
            kind=kind,
            parent=_link(element, "parent"),
            child=_link(element, "child"),
            placement=Placement(_triple(origin, "xyz"), _triple(origin, "rpy")),
            axis=(1.0, 0.0, 0.0) if kind == "fixed" else _unit(axis),
            low=_number(limit, "lower"),
            high=_number(limit, "upper"),
            velocity=_number(limit, "velocity"),
        )
    except (KeyError, ValueError) as error:
        raise ConfigError("a wrong entry", where=f"{path}, joint {name!r}", got=error) from error


def _link(element: ET.Element, tag: str) -> str:
    found = element.find(tag)
    if found is None:
        raise ValueError(f"no <{tag}>")
    return found.attrib["link"]


def _triple(element: ET.Element | None, name: str) -> tuple[float, float, float]:
    text = "0 0 0" if element is None else element.get(name, "0 0 0")
    x, y, z = map(float, text.split())
    return x, y, z


def _unit(element: ET.Element | None) -> tuple[float, float, float]:
    x, y, z = (1.0, 0.0, 0.0) if element is None else _triple(element, "xyz")
    length = float(np.linalg.norm((x, y, z)))
    if not length > 0.0:
        raise ValueError("the axis has no length")
    return x / length, y / length, z / length


def _number(element: ET.Element | None, name: str) -> float | None:
    if element is None or name not in element.attrib:
        return None
    value = float(element.attrib[name])
    if not np.isfinite(value):
        raise ValueError(f"{name} is not finite")
    return value
