"""From what a device says to a displacement: scale, frame, clutch, smoothing."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.errors import ConfigError, UnknownNameError
from robot_policy.core.geometry import rotvec_from_matrix
from robot_policy.core.robot import RobotDescription
from robot_policy.core.specs import ActionSpace
from robot_policy.runtime.safety.ee_motion import EE_SPACES
from robot_policy.teleop.controls import Controls, Vector

_STEP_M, _TURN_RAD = 0.02, 0.1
"""Full speed per control period where the description bounds no displacement."""


class Frame(StrEnum):
    """Whose axes a device moves the end effector along.

    BASE: The robot's: x forward, y left, z up.
    TOOL: The end effector's own.
    CAMERA: The picture's, as a person sees it: x away from the viewer, y left, z up, level with
        the table.
    """

    BASE = "base"
    TOOL = "tool"
    CAMERA = "camera"


@dataclass(frozen=True, slots=True)
class MappingConfig:
    """How far the arm goes for what a hand does.

    Attributes:
        frame: Whose axes count.
        speed: Full speed as a part of the largest command, (0, 1].
        scale: Metres of the arm per metre of the hand; of rotations likewise.
        smoothing_s: Time constant of the low pass on velocities [s]; 0 is none.

    Raises:
        ConfigError: If a number is out of range.
    """

    frame: Frame = Frame.BASE
    speed: float = 0.6
    scale: float = 1.0
    smoothing_s: float = 0.05

    def __post_init__(self) -> None:
        if self.frame not in list(Frame):
            raise UnknownNameError.of("frame", self.frame, Frame, where="--frame")
        for name, low, high in (("speed", 0.0, 1.0), ("scale", 0.0, 10.0)):
            if not low < getattr(self, name) <= high:
                raise ConfigError(
                    "out of range",
                    where=name,
                    expected=f"({low:g}, {high:g}]",
                    got=getattr(self, name),
                )
        if not 0.0 <= self.smoothing_s <= 1.0:
            raise ConfigError(
                "out of range", where="smoothing_s", expected="0 .. 1 s", got=self.smoothing_s
            )


class Mapping:
    """Turns controls into displacements; remembers what clutch and smoothing need.

    The dead-man is the clutch: while it is let go the hand may move freely, and a leader arm goes
    on from wherever it is then. Smoothing never moves the arm after it has been let go.

    Args:
        robot: Gives full speed, period and kinematics.
        config: How far.
        base_R_view: (3, 3) axes of the camera's picture in the base frame, for `Frame.CAMERA`.

    Raises:
        ConfigError: If the camera's axes are asked for and unknown.
    """

    def __init__(
        self,
        robot: RobotDescription,
        config: MappingConfig,
        *,
        base_R_view: NDArray[np.floating] | None = None,
    ) -> None:
        if config.frame == Frame.CAMERA and base_R_view is None:
            raise ConfigError(
                "nobody says where the camera is",
                where="--frame camera",
                hint="calibrate it with `robot-policy calibrate hand-eye`, or use --frame base",
            )
        self.config = config
        self._robot = robot
        self._base_R_view = base_R_view
        self._full = config.speed * _full_step(robot)
        self._keep = float(np.exp(-robot.dt_s / config.smoothing_s)) if config.smoothing_s else 0.0
        self.release()

    @property
    def full_step(self) -> Vector:
        """(6,) displacement in a control period at full speed: [m] and [rad]."""
        return self._full

    def release(self) -> None:
        """Forgets where the hand was: the dead-man has been let go."""
        self._velocity = np.zeros(6)
        self._leader: tuple[Vector, Vector] | None = None

    def displacement(self, controls: Controls, state: NDArray[np.float32]) -> Vector:
        """Returns (6,) in the base frame for one control period: translation [m], turn [rad].

        Args:
            controls: With the dead-man held.
            state: (S,) the robot now.

        Raises:
            ConfigError: If a leader arm drives a robot whose kinematics are unknown.
        """
        wanted = np.clip(controls.velocity, -1.0, 1.0)
        self._velocity = self._keep * self._velocity + (1.0 - self._keep) * wanted
        if not wanted.any() and np.abs(self._velocity).max() < 1e-3:
            self._velocity = np.zeros(6)
        step = self._full * self._velocity + self._robot.dt_s * controls.twist
        step += self.config.scale * controls.shift
        R = self._axes(state)
        moved = np.concatenate([R @ step[:3], R @ step[3:]])
        return moved if controls.joints is None else moved + self._led(controls.joints, state)

    def joints(self, leader: Vector, state: NDArray[np.float32]) -> Vector:
        """Returns (J,) the angles that a leader arm asks for [rad].

        The follower moves as the leader has moved since the dead-man was taken.
        """
        here = self._robot.joint_positions(state).astype(np.float64)
        if self._leader is None:
            self._leader = leader.copy(), here
        start, follower = self._leader
        return follower + (leader - start)

    def _led(self, leader: Vector, state: NDArray[np.float32]) -> Vector:
        chain = self._robot.kinematics
        if chain is None:
            raise ConfigError(
                "a leader arm needs its follower's kinematics", where=f"robot {self._robot.name}"
            )
        base_T_goal = chain.pose(self.joints(leader, state))
        turn = rotvec_from_matrix(base_T_goal[:3, :3] @ self._robot.ee_rotation(state).T)
        return np.concatenate([base_T_goal[:3, 3] - self._robot.ee_position(state), turn])

    def _axes(self, state: NDArray[np.float32]) -> NDArray[np.floating]:
        match self.config.frame:
            case Frame.BASE:
                return np.eye(3)
            case Frame.TOOL:
                return self._robot.ee_rotation(state)
            case Frame.CAMERA:
                assert self._base_R_view is not None
                return self._base_R_view


def _full_step(robot: RobotDescription) -> Vector:
    """(6,) the largest displacement in a control period: [m] and [rad]."""
    command = robot.command
    if command.action_space == ActionSpace.EE_DELTA_POSE:
        return np.array(command.high[:6])
    if command.action_space in EE_SPACES and command.max_step_m and command.max_turn_rad:
        return np.repeat([command.max_step_m, command.max_turn_rad], 3)
    return np.repeat([_STEP_M, _TURN_RAD], 3)


def view_axes(base_T_camera: NDArray[np.floating]) -> NDArray[np.floating]:
    """Returns (3, 3) ``base_R_view``: x away from the viewer along the table, y left, z up.

    Args:
        base_T_camera: (4, 4) of the optical frame (z into the picture, x right).
    """
    away = base_T_camera[:3, 2].copy()
    if np.hypot(away[0], away[1]) < 0.1:  # it looks straight down: what is up in the picture
        away = -base_T_camera[:3, 1].copy()
    away[2] = 0.0
    away /= np.linalg.norm(away)
    up = np.array([0.0, 0.0, 1.0])
    return np.stack([away, np.cross(up, away), up], axis=-1)
