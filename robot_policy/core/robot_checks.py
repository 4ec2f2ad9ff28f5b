"""What must hold in every robot description, so that its limits mean what they say."""

from collections.abc import Sequence

import numpy as np

from robot_policy.core.errors import ConfigError
from robot_policy.core.robot_description import Box, GripperInterface, RobotDescription
from robot_policy.core.specs import ActionSpace


def check_robot(robot: RobotDescription, *, where: object) -> None:
    """Checks sizes, signs and what belongs together.

    Args:
        robot: The description.
        where: Named in errors.

    Raises:
        ConfigError: At the first entry that cannot be.
        SpecError: If the command range does not fit the action.
    """
    if not robot.rate_hz > 0:
        raise ConfigError("rate_hz must be positive", where=where, got=robot.rate_hz)
    if not robot.max_age_s > 0:
        raise ConfigError("max_age_s must be positive", where=where, got=robot.max_age_s)
    _check_joints(robot, where)
    _check_gripper(robot, where)
    _check_interface(robot, where)
    spec = robot.action_spec  # raises SpecError if command.low or .high do not fit
    if not np.isfinite([*spec.low, *spec.high]).all():
        raise ConfigError("command.low and command.high must be finite", where=where)
    _check_command(robot, where)
    _check_box("workspace", robot.workspace, where)
    for box in robot.workspace.keep_out:
        _check_box("workspace.keep_out", box, where)
    _check_primitives(robot, where)
    if robot.kinematics is not None and len(robot.kinematics) != len(robot.joint_names):
        raise ConfigError(
            "kinematics.joints must have one entry per joint",
            where=where,
            expected=len(robot.joint_names),
            got=len(robot.kinematics),
        )
    if robot.ee_pose_topic is None and robot.kinematics is None:
        raise ConfigError(
            "no way to know where the end effector is",
            where=where,
            expected="topics.ee_pose, kinematics or urdf",
        )


def _check_primitives(robot: RobotDescription, where: object) -> None:
    if robot.primitives is None:
        return
    for label in ("translation_m", "rotation_rad"):
        amounts = np.array(getattr(robot.primitives, label))
        if not len(amounts) or not (np.diff(amounts, prepend=0.0) > 0).all():
            raise ConfigError(
                f"primitives.{label} must be positive and ascending",
                where=where,
                got=amounts.tolist(),
            )


def _check_joints(robot: RobotDescription, where: object) -> None:
    limits, joints = robot.joint_limits, len(robot.joint_names)
    for label in ("low", "high", "velocity", "acceleration", "jerk"):
        values: Sequence[float] | None = getattr(limits, label)
        if values is None:
            continue
        if len(values) != joints:
            raise ConfigError(
                f"joints.{label} must have one entry per joint",
                where=where,
                expected=joints,
                got=len(values),
            )
        least = -np.inf if label in ("low", "high") else 0.0
        if not all(least < value < np.inf for value in values):
            expected = "finite" if label in ("low", "high") else "positive and finite"
            raise ConfigError(
                f"joints.{label} is out of range", where=where, expected=expected, got=values
            )
    for name, low, high in zip(robot.joint_names, limits.low, limits.high, strict=True):
        if not low < high:
            raise ConfigError(
                f"joints.low of {name} is not below joints.high", where=where, got=(low, high)
            )


def _check_gripper(robot: RobotDescription, where: object) -> None:
    gripper = robot.gripper
    if gripper.open == gripper.closed:
        raise ConfigError("open and closed are the same", where=f"{where}: gripper")
    if gripper.speed is not None and not gripper.speed > 0:
        raise ConfigError("gripper.speed must be positive", where=where, got=gripper.speed)


def _check_interface(robot: RobotDescription, where: object) -> None:
    command = robot.command
    if command.action_space not in command.interface.carries:
        raise ConfigError(
            f"a {command.interface} cannot carry these actions",
            where=where,
            expected=f"action_space {' or '.join(command.interface.carries)}",
            got=command.action_space,
        )
    with_arm = command.gripper_interface == GripperInterface.WITH_ARM
    if with_arm and command.interface.space != ActionSpace.JOINT_POSITION:
        raise ConfigError(
            f"a {command.interface} cannot carry the gripper",
            where=where,
            expected="gripper_interface position or joint_trajectory",
        )


def _check_command(robot: RobotDescription, where: object) -> None:
    command = robot.command
    if (command.low[-1], command.high[-1]) != (0.0, 1.0):
        raise ConfigError(
            "the gripper's command must be 0 open .. 1 closed",
            where=where,
            got=(command.low[-1], command.high[-1]),
        )
    if command.action_space.is_delta and not all(
        low <= 0.0 <= high for low, high in zip(command.low[:-1], command.high[:-1], strict=True)
    ):
        raise ConfigError("a displacement must be allowed to be zero", where=f"{where}: command")
    if command.action_space == ActionSpace.EE_POSE and not (
        max(command.low[3:6]) <= -np.pi and min(command.high[3:6]) >= np.pi
    ):
        raise ConfigError(
            "the range of rotation vectors must hold every rotation",
            where=f"{where}: command",
            expected="-3.15 .. 3.15 or wider",
            got=(command.low[3:6], command.high[3:6]),
        )
    for label in ("max_step_m", "max_turn_rad"):
        value: float | None = getattr(command, label)
        if value is None and command.action_space == ActionSpace.EE_POSE:
            raise ConfigError(
                f"entry 'command.{label}' is missing",
                where=where,
                hint="poses may lie anywhere in the range; how far a step may go must be said",
            )
        if value is not None and not 0.0 < value < np.inf:
            raise ConfigError(f"command.{label} must be positive", where=where, got=value)
    for label in ("translation", "rotation", "joints"):
        part: float = getattr(command.response, label)
        if not 0.0 < part <= 1.0:
            raise ConfigError(
                f"command.response.{label} is out of range",
                where=where,
                expected="0 .. 1",
                got=part,
            )


def _check_box(label: str, box: Box, where: object) -> None:
    for axis, low, high in zip("xyz", box.low, box.high, strict=True):
        if not low < high:
            raise ConfigError(f"{label}: low is not below high in {axis}", where=where)
