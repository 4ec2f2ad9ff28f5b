"""From the mapping that a robot's YAML file holds to its description, and what must hold in it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from robot_policy.core.camera_calibration import CameraCalibration
from robot_policy.core.errors import ConfigError, UnknownNameError
from robot_policy.core.kinematics import KinematicChain, Placement
from robot_policy.core.robot_checks import check_robot
from robot_policy.core.robot_description import (
    DEFAULT_MAX_AGE_S,
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
from robot_policy.core.specs import ActionSpace
from robot_policy.core.urdf import Urdf, read_urdf

_SECTIONS: Mapping[str, tuple[str, ...]] = {
    "": (
        *("name", "rate_hz", "urdf", "frames", "joints", "kinematics", "gripper", "command"),
        *("topics", "cameras", "workspace", "simulated", "max_age_s", "primitives"),
    ),
    "frames": ("base", "end_effector"),
    "joints": ("names", "low", "high", "velocity", "acceleration", "jerk"),
    "kinematics": ("joints", "tool"),
    "gripper": ("joint", "open_m", "closed_m", "open_rad", "closed_rad", "speed"),
    "command": (
        *("action_space", "interface", "topic", "gripper_interface", "gripper_topic"),
        *("low", "high", "max_step_m", "max_turn_rad", "response"),
    ),
    "topics": ("joint_states", "ee_pose", "environment_state"),
    "workspace": ("low", "high", "keep_out"),
    "primitives": ("translation_m", "rotation_deg"),
}
"""Entries that there may be. Any other is a mistake: a limit with a typing error limits nothing."""


def parse_robot(
    data: Mapping[str, Any], *, where: object, folder: Path | None = None
) -> RobotDescription:
    """Builds a description from the mapping that its YAML file holds.

    Args:
        data: The mapping.
        where: Named in errors.
        folder: Where the names of a URDF and of calibrations begin; the working directory if None.

    Raises:
        ConfigError: Names the entry that is missing, unknown, of the wrong size or inconsistent.
    """
    try:
        _refuse_unknown(data, where)
        description = _parse(data, where, folder or Path())
    except KeyError as error:
        raise ConfigError(f"entry {error.args[0]!r} is missing", where=where) from error
    except (TypeError, ValueError) as error:
        raise ConfigError("a wrong entry", where=where, got=error) from error
    check_robot(description, where=where)
    return description


def _refuse_unknown(data: Mapping[str, Any], where: object) -> None:
    for section, valid in _SECTIONS.items():
        found = data if not section else data.get(section, {})
        if not isinstance(found, Mapping):
            raise ConfigError(f"{section} must be a mapping", where=where, got=found)
        entries = cast(Mapping[object, Any], found)
        for name in entries:
            if name not in valid:
                kind = f"entry of {section}" if section else "entry"
                raise UnknownNameError.of(kind, str(name), valid, where=where)


def _parse(data: Mapping[str, Any], where: object, folder: Path) -> RobotDescription:
    joints, topics, frames = data["joints"], data["topics"], data["frames"]
    names = tuple(map(str, joints["names"]))
    base, end = str(frames["base"]), str(frames["end_effector"])
    urdf = read_urdf(folder / data["urdf"]) if "urdf" in data else None
    limits = _joint_limits(joints, names, urdf, where)
    if urdf is not None and "kinematics" in data:
        raise ConfigError("the URDF holds the kinematics already", where=where)
    chain = _chain(data["kinematics"]) if "kinematics" in data else None
    return RobotDescription(
        name=str(data["name"]),
        rate_hz=float(data["rate_hz"]),
        joint_names=names,
        joint_limits=limits,
        gripper=_gripper(data["gripper"]),
        command=_command(data["command"], limits),
        joint_states_topic=topics["joint_states"],
        ee_pose_topic=topics.get("ee_pose"),
        environment_state_topic=topics.get("environment_state"),
        cameras={
            str(name): _camera(str(name), camera, frames=(base, end), folder=folder)
            for name, camera in data.get("cameras", {}).items()
        },
        workspace=_workspace(data["workspace"]),
        base_frame=base,
        ee_frame=end,
        kinematics=chain if urdf is None else urdf.chain(base, end, names),
        simulated=bool(data.get("simulated", False)),
        max_age_s=float(data.get("max_age_s", DEFAULT_MAX_AGE_S)),
        primitives=_primitives(data["primitives"]) if "primitives" in data else None,
    )


def _primitives(data: Mapping[str, Any]) -> PrimitiveAmounts:
    return PrimitiveAmounts(
        translation_m=_floats(data["translation_m"]),
        rotation_rad=_floats(np.deg2rad(_floats(data["rotation_deg"])).tolist()),
    )


def _camera(
    name: str, entries: Mapping[str, Any], *, frames: tuple[str, str], folder: Path
) -> CameraDescription:
    known = dict(entries)
    file = known.pop("calibration", None)
    if file is not None:
        base, end = frames
        known["calibration"] = CameraCalibration.read(
            folder / str(file), base_frame=base, ee_frame=end, camera=name
        )
    return CameraDescription(**known)


def _joint_limits(
    joints: Mapping[str, Any], names: Sequence[str], urdf: Urdf | None, where: object
) -> JointLimits:
    """Limits of the YAML file; what it leaves out comes from the URDF, which they must keep to."""
    known = {} if urdf is None else urdf.limits(names)
    values: dict[str, tuple[float, ...]] = {}
    for label in ("low", "high", "velocity"):
        bounds = known.get(label, ())
        if label in joints:
            values[label] = _floats(joints[label])
            _check_against_urdf(label, names, values[label], bounds, where)
            continue
        missing = [name for name, bound in zip(names, bounds, strict=False) if bound is None]
        if not bounds or missing:
            raise KeyError(f"joints.{label}")
        values[label] = tuple(float(b) for b in bounds if b is not None)
    return JointLimits(
        **values,
        acceleration=_floats(joints["acceleration"]) if "acceleration" in joints else None,
        jerk=_floats(joints["jerk"]) if "jerk" in joints else None,
    )


_URDF_TOLERANCE = 1e-3
"""Makers round the same limit differently."""


def _check_against_urdf(
    label: str,
    names: Sequence[str],
    values: Sequence[float],
    bounds: Sequence[float | None],
    where: object,
) -> None:
    for name, value, bound in zip(names, values, bounds, strict=False):
        if bound is None:
            continue
        beyond = bound - value if label == "low" else value - bound
        if beyond > _URDF_TOLERANCE:
            raise ConfigError(
                f"joints.{label} of {name} is wider than in the URDF",
                where=where,
                expected=f"{'>=' if label == 'low' else '<='} {bound:g}",
                got=f"{value:g}",
            )


def _chain(data: Mapping[str, Any]) -> KinematicChain:
    joints = [{"axis": (0.0, 0.0, 1.0), **joint} for joint in data["joints"]]
    return KinematicChain(
        [_placement(joint).matrix for joint in joints],
        np.array([_triple(joint["axis"]) for joint in joints]),
        _placement(data.get("tool", {})).matrix,
    )


def _placement(data: Mapping[str, Any]) -> Placement:
    return Placement(_triple(data.get("xyz", (0, 0, 0))), _triple(data.get("rpy", (0, 0, 0))))


def _gripper(data: Mapping[str, Any]) -> Gripper:
    unit = "rad" if "open_rad" in data or "closed_rad" in data else "m"
    speed = data.get("speed")
    return Gripper(
        joint=str(data["joint"]),
        open=float(data[f"open_{unit}"]),
        closed=float(data[f"closed_{unit}"]),
        unit=unit,
        speed=None if speed is None else float(speed),
    )


def _command(data: Mapping[str, Any], limits: JointLimits) -> Command:
    space = ActionSpace(data["action_space"])
    gripper = GripperInterface(data.get("gripper_interface", GripperInterface.POSITION))
    if space == ActionSpace.JOINT_POSITION and "low" not in data and "high" not in data:
        data = {**data, "low": (*limits.low, 0.0), "high": (*limits.high, 1.0)}
    command = Command(
        action_space=space,
        interface=CommandInterface(data["interface"]),
        topic=data["topic"],
        gripper_topic="" if gripper == GripperInterface.WITH_ARM else data["gripper_topic"],
        gripper_interface=gripper,
        low=_floats(data["low"]),
        high=_floats(data["high"]),
        max_step_m=_optional(data, "max_step_m"),
        max_turn_rad=_optional(data, "max_turn_rad"),
        response=Response(**{k: float(v) for k, v in data.get("response", {}).items()}),
    )
    if space != ActionSpace.EE_DELTA_POSE:
        return command
    # The longest that the range allows anyway.
    longest = np.maximum(np.abs(command.low), np.abs(command.high))
    step, turn = (float(np.linalg.norm(part)) for part in (longest[:3], longest[3:6]))
    return replace(
        command,
        max_step_m=step if command.max_step_m is None else command.max_step_m,
        max_turn_rad=turn if command.max_turn_rad is None else command.max_turn_rad,
    )


def _workspace(data: Mapping[str, Any]) -> Workspace:
    keep_out = tuple(Box(_triple(b["low"]), _triple(b["high"])) for b in data.get("keep_out", ()))
    return Workspace(_triple(data["low"]), _triple(data["high"]), keep_out=keep_out)


def _optional(data: Mapping[str, Any], name: str) -> float | None:
    return float(data[name]) if name in data else None


def _floats(values: Sequence[Any]) -> tuple[float, ...]:
    return tuple(map(float, values))


def _triple(values: Sequence[Any]) -> tuple[float, float, float]:
    x, y, z = map(float, values)
    return x, y, z
