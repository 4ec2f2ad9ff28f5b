"""Robot descriptions by name: one YAML file per robot, read by recorder, twin and policy node."""

import os
from pathlib import Path
from typing import Any, cast

from robot_policy.core.errors import ConfigError, UnknownNameError
from robot_policy.core.robot_description import (
    Box,
    CameraDescription,
    Command,
    CommandInterface,
    Gripper,
    GripperInterface,
    JointLimits,
    PrimitiveAmounts,
    Response,
    RobotDescription,
    Workspace,
)
from robot_policy.core.robot_parsing import parse_robot

__all__ = [
    "Box",
    "CameraDescription",
    "Command",
    "CommandInterface",
    "Gripper",
    "GripperInterface",
    "JointLimits",
    "PrimitiveAmounts",
    "Response",
    "RobotDescription",
    "Workspace",
    "load_robot",
    "parse_robot",
    "robot_names",
]

_PACKAGE = Path(__file__).resolve().parents[1]
_ROBOT_FOLDERS = (
    _PACKAGE / "robots",
    _PACKAGE.parent / "ros2_ws/src/robot_policy_ros/config/robots",
)

_EXTENDS = "extends"


def load_robot(name_or_path: str | Path) -> RobotDescription:
    """Reads a robot description by name, or by the path of a YAML file.

    Names are looked up in the folders of ``ROBOT_POLICY_ROBOTS`` (separated by ``:``), then in
    the ones that come with this project.

    A file with ``extends: NAME`` holds only what differs from that robot: each of its top-level
    entries replaces the other's.

    Raises:
        UnknownNameError: If no folder holds that name.
        ConfigError: If the file is missing, not YAML, or an entry is missing, unknown or wrong.
    """
    path = _path(name_or_path)
    return parse_robot(_resolved(path, ()), where=path, folder=path.parent)


def robot_names() -> list[str]:
    """Names of the robots that `load_robot` finds."""
    return sorted({path.stem for folder in _folders() for path in folder.glob("*.yaml")})


def _path(name_or_path: str | Path) -> Path:
    if not str(name_or_path).endswith((".yaml", ".yml")):
        return _find(str(name_or_path))
    path = Path(name_or_path)
    if not path.is_file():
        raise ConfigError("no such robot description", where=path)
    return path


def _folders() -> list[Path]:
    extra = [Path(p) for p in os.environ.get("ROBOT_POLICY_ROBOTS", "").split(":") if p]
    return [folder for folder in (*extra, *_ROBOT_FOLDERS) if folder.is_dir()]


def _find(name: str) -> Path:
    for folder in _folders():
        path = folder / f"{name}.yaml"
        if path.is_file():
            return path
    raise UnknownNameError.of("robot", name, robot_names())


def _resolved(path: Path, seen: tuple[Path, ...]) -> dict[str, Any]:
    """The file's entries, over those of the robot that it extends."""
    data = _read_yaml(path)
    if _EXTENDS not in data:
        return data
    if path in seen:
        raise ConfigError("extends itself", where=path)
    base = _path(str(data.pop(_EXTENDS)))
    inherited = _resolved(base, (*seen, path))
    if "urdf" in inherited:
        inherited["urdf"] = str(base.parent / inherited["urdf"])
    for camera in inherited.get("cameras", {}).values():
        if "calibration" in camera:
            camera["calibration"] = str(base.parent / camera["calibration"])
    return {**inherited, **data}


def _read_yaml(path: Path) -> dict[str, Any]:
    import yaml  # only who reads a description needs it

    try:
        data = yaml.safe_load(path.read_text())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError("not a YAML file", where=path, got=error) from error
    if not isinstance(data, dict):
        raise ConfigError("not a robot description", where=path, expected="a YAML mapping")
    return cast(dict[str, Any], data)
