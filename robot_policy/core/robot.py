"""The robot description: one YAML file per robot, read by recorder, twin and policy node."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.errors import ConfigError, UnknownNameError
from robot_policy.core.geometry import rot6d_from_matrix
from robot_policy.core.specs import ActionSpace, ArraySpec, PolicySpec, image_spec

_PACKAGE = Path(__file__).resolve().parents[1]
_ROBOT_FOLDERS = (
    _PACKAGE / "robots",
    _PACKAGE.parent / "ros2_ws/src/robot_policy_ros/config/robots",
)


class CommandInterface(StrEnum):
    """Message form in which a robot takes its commands.

    TWIST: geometry_msgs/TwistStamped in the base frame [m/s, rad/s], as MoveIt Servo takes it.
    """

    TWIST = "twist"


@dataclass(frozen=True, slots=True)
class JointLimits:
    """Joint limits, one entry per joint: low and high [rad], velocity [rad/s]."""

    low: tuple[float, ...]
    high: tuple[float, ...]
    velocity: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Gripper:
    """A parallel gripper commanded by finger position.

    Attributes:
        joint: Name in ``/joint_states``.
        open_m: Finger joint position when open [m].
        closed_m: Likewise when closed [m].
    """

    joint: str
    open_m: float
    closed_m: float

    def fraction_from_position(self, position_m: float) -> float:
        """Finger position [m] to 0 open .. 1 closed, clipped."""
        fraction = (position_m - self.open_m) / (self.closed_m - self.open_m)
        return min(max(fraction, 0.0), 1.0)

    def position_from_fraction(self, fraction: float) -> float:
        """Inverse of `fraction_from_position` [m]."""
        return self.open_m + min(max(fraction, 0.0), 1.0) * (self.closed_m - self.open_m)


@dataclass(frozen=True, slots=True)
class CameraDescription:
    """One camera: image size [px], topics and optical frame."""

    height: int
    width: int
    image_topic: str
    info_topic: str
    frame: str


@dataclass(frozen=True, slots=True)
class Workspace:
    """Box that the end effector must stay in, base frame [m]."""

    low: tuple[float, float, float]
    high: tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Command:
    """How the robot is commanded.

    Attributes:
        action_space: Meaning of an action.
        interface: Message form.
        topic: Where arm commands go.
        gripper_topic: Where finger positions go, std_msgs/Float64MultiArray [m].
        low: Smallest action, gripper last.
        high: Largest action.
    """

    action_space: ActionSpace
    interface: CommandInterface
    topic: str
    gripper_topic: str
    low: tuple[float, ...]
    high: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class RobotDescription:
    """Everything about a robot that is not learned.

    Attributes:
        name: Name that datasets and checkpoints carry.
        rate_hz: Control rate [Hz].
        joint_names: Arm joints, in the order of `joint_limits` and of the state vector.
        joint_limits: Their limits.
        gripper: The gripper.
        command: How it is commanded.
        joint_states_topic: sensor_msgs/JointState, matched by name.
        ee_pose_topic: geometry_msgs/PoseStamped of the end effector in the base frame.
        environment_state_topic: std_msgs/Float64MultiArray of privileged state; None on every
            real arm.
        cameras: By name.
        workspace: Box for the end effector.
        base_frame: Frame of poses and twists.
        ee_frame: Frame of the end effector.
    """

    name: str
    rate_hz: float
    joint_names: tuple[str, ...]
    joint_limits: JointLimits
    gripper: Gripper
    command: Command
    joint_states_topic: str
    ee_pose_topic: str
    environment_state_topic: str | None
    cameras: Mapping[str, CameraDescription]
    workspace: Workspace
    base_frame: str
    ee_frame: str

    @property
    def dt_s(self) -> float:
        """Control period [s]."""
        return 1.0 / self.rate_hz

    @property
    def state_spec(self) -> ArraySpec:
        """Spec of ``observation.state``: see `proprioception`."""
        names = (
            *self.joint_names,
            "gripper",
            *("ee_x", "ee_y", "ee_z"),
            *(f"ee_rot6d_{i}" for i in range(6)),
        )
        units = (*("rad",) * len(self.joint_names), "1", *("m",) * 3, *("1",) * 6)
        return ArraySpec(shape=(len(names),), names=names, units=units)

    @property
    def action_spec(self) -> ArraySpec:
        """Spec of ``action``, bounded by the command limits."""
        match self.command.action_space:
            case ActionSpace.EE_DELTA_POSE:
                names = ("ee_dx", "ee_dy", "ee_dz", "ee_drx", "ee_dry", "ee_drz")
                units = ("m", "m", "m", "rad", "rad", "rad")
            case ActionSpace.EE_POSE:
                names = ("ee_x", "ee_y", "ee_z", "ee_rx", "ee_ry", "ee_rz")
                units = ("m", "m", "m", "rad", "rad", "rad")
            case ActionSpace.JOINT_POSITION:
                names = self.joint_names
                units = ("rad",) * len(names)
            case ActionSpace.JOINT_DELTA:
                names = tuple(f"{name}_delta" for name in self.joint_names)
                units = ("rad",) * len(names)
        return ArraySpec(
            shape=(len(names) + 1,),
            names=(*names, "gripper"),
            units=(*units, "1"),
            low=self.command.low,
            high=self.command.high,
        )

    def spec(
        self,
        *,
        environment_state: ArraySpec | None = None,
        cameras: tuple[str, ...] = (),
    ) -> PolicySpec:
        """Spec of what the robot offers, for `check_runs_on` and for datasets.

        Args:
            environment_state: Spec of the privileged state of the task in the twin.
            cameras: Names of the cameras in use.

        Raises:
            UnknownNameError: If the robot has no such camera.
        """
        for camera in cameras:
            if camera not in self.cameras:
                raise UnknownNameError.of("camera", camera, self.cameras, where=self.name)
        return PolicySpec(
            robot=self.name,
            state=self.state_spec,
            action=self.action_spec,
            action_space=self.command.action_space,
            dt_s=self.dt_s,
            environment_state=environment_state,
            cameras={c: image_spec(self.cameras[c].height, self.cameras[c].width) for c in cameras},
        )

    def proprioception(
        self,
        *,
        joint_positions: NDArray[np.floating],
        gripper_m: float,
        ee_position: NDArray[np.floating],
        base_R_ee: NDArray[np.floating],
    ) -> NDArray[np.float32]:
        """Builds ``observation.state``, the same way from the simulator and from topics.

        Args:
            joint_positions: (J,) [rad] in the order of `joint_names`.
            gripper_m: Finger joint position [m].
            ee_position: (3,) end effector in the base frame [m].
            base_R_ee: (3, 3) its orientation.

        Returns:
            (J + 10,): joints, gripper (0 open .. 1 closed), position, 6-D rotation.
        """
        return np.concatenate(
            [
                joint_positions,
                [self.gripper.fraction_from_position(gripper_m)],
                ee_position,
                rot6d_from_matrix(base_R_ee),
            ]
        ).astype(np.float32)

    def ee_position(self, state: NDArray[np.floating]) -> NDArray[np.floating]:
        """(3,) end-effector position [m] out of a state vector (S,)."""
        start = len(self.joint_names) + 1
        return state[start : start + 3]


def load_robot(name_or_path: str | Path) -> RobotDescription:
    """Reads a robot description by name, or by the path of a YAML file.

    Names are looked up in the folders of ``ROBOT_POLICY_ROBOTS`` (separated by ``:``), then in
    the ones that come with this project.

    Raises:
        UnknownNameError: If no folder holds that name.
        ConfigError: If the file is missing, not YAML, or an entry is missing, unknown or wrong.
    """
    if str(name_or_path).endswith((".yaml", ".yml")):
        path = Path(name_or_path)
        if not path.is_file():
            raise ConfigError("no such robot description", where=path)
    else:
        path = _find(str(name_or_path))
    return parse_robot(_read_yaml(path), where=path)


def robot_names() -> list[str]:
    """Names of the robots that `load_robot` finds."""
    return sorted({path.stem for folder in _folders() for path in folder.glob("*.yaml")})


def _folders() -> list[Path]:
    extra = [Path(p) for p in os.environ.get("ROBOT_POLICY_ROBOTS", "").split(":") if p]
    return [folder for folder in (*extra, *_ROBOT_FOLDERS) if folder.is_dir()]


def _find(name: str) -> Path:
    for folder in _folders():
        path = folder / f"{name}.yaml"
        if path.is_file():
            return path
    raise UnknownNameError.of("robot", name, robot_names())


def _read_yaml(path: Path) -> dict[str, Any]:
    import yaml  # only who reads a description needs it

    try:
        data = yaml.safe_load(path.read_text())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError("not a YAML file", where=path, got=error) from error
    if not isinstance(data, dict):
        raise ConfigError("not a robot description", where=path, expected="a YAML mapping")
    return cast(dict[str, Any], data)


def parse_robot(data: Mapping[str, Any], *, where: object) -> RobotDescription:
    """Builds a description from the mapping that its YAML file holds.

    Raises:
        ConfigError: Names the entry that is missing, unknown or of the wrong size.
    """
    try:
        description = _parse(data)
    except KeyError as error:
        raise ConfigError(f"entry {error.args[0]!r} is missing", where=where) from error
    except (TypeError, ValueError) as error:
        raise ConfigError("a wrong entry", where=where, got=error) from error
    joints = len(description.joint_names)
    limits = description.joint_limits
    for label in ("low", "high", "velocity"):
        if len(getattr(limits, label)) != joints:
            raise ConfigError(
                f"joints.{label} must have one entry per joint",
                where=where,
                expected=joints,
                got=len(getattr(limits, label)),
            )
    if description.rate_hz <= 0:
        raise ConfigError("rate_hz must be positive", where=where, got=description.rate_hz)
    _ = description.action_spec  # raises SpecError if command.low or .high do not fit
    return description


def _parse(data: Mapping[str, Any]) -> RobotDescription:
    joints, command, topics = data["joints"], data["command"], data["topics"]
    low, high = data["workspace"]["low"], data["workspace"]["high"]
    return RobotDescription(
        name=str(data["name"]),
        rate_hz=float(data["rate_hz"]),
        joint_names=tuple(joints["names"]),
        joint_limits=JointLimits(
            low=tuple(map(float, joints["low"])),
            high=tuple(map(float, joints["high"])),
            velocity=tuple(map(float, joints["velocity"])),
        ),
        gripper=Gripper(**data["gripper"]),
        command=Command(
            action_space=ActionSpace(command["action_space"]),
            interface=CommandInterface(command["interface"]),
            topic=command["topic"],
            gripper_topic=command["gripper_topic"],
            low=tuple(map(float, command["low"])),
            high=tuple(map(float, command["high"])),
        ),
        joint_states_topic=topics["joint_states"],
        ee_pose_topic=topics["ee_pose"],
        environment_state_topic=topics.get("environment_state"),
        cameras={name: CameraDescription(**c) for name, c in data.get("cameras", {}).items()},
        workspace=Workspace(
            low=(float(low[0]), float(low[1]), float(low[2])),
            high=(float(high[0]), float(high[1]), float(high[2])),
        ),
        base_frame=data["frames"]["base"],
        ee_frame=data["frames"]["end_effector"],
    )
