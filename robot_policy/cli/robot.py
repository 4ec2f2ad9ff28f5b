"""`robot-policy robot …`: which robots are known, and whether a description is right."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tyro.conf import Positional

from robot_policy.core.errors import RobotPolicyError
from robot_policy.core.files import write_json
from robot_policy.core.robot import RobotDescription, load_robot, robot_names
from robot_policy.runtime.hold import hold_action
from robot_policy.runtime.safety.safety_filter import LIMITS


@dataclass(frozen=True)
class ListConfig:
    """List the robots whose descriptions are found."""


@dataclass(frozen=True)
class CheckConfig:
    """Check a robot description, and show what it limits."""

    robot: Positional[str]
    """Name of a robot, or a YAML file."""
    json: Path | None = None
    """Also write it to this file."""


def run_list(config: ListConfig) -> int:
    """Prints one line per robot; a description that is wrong says so and does not hide the others.

    Returns:
        0, or 2 if one is wrong.
    """
    del config
    status = 0
    for name in robot_names():
        try:
            robot = load_robot(name)
        except RobotPolicyError as error:
            print(f"{name}: {error}")
            status = 2
            continue
        command = robot.command
        print(f"{name}: {command.action_space} by {command.interface}, {robot.rate_hz:g} Hz")
    return status


def run_check(config: CheckConfig) -> int:
    """Loads the description, builds its limits, and prints what they are."""
    summary = summarize(load_robot(config.robot))
    if config.json is not None:
        write_json(config.json, summary)
    for label, value in summary.items():
        print(f"{label}: {', '.join(value) if isinstance(value, list) else value}")
    return 0


def summarize(robot: RobotDescription) -> dict[str, Any]:
    """Returns what `robot check` shows, JSON-ready.

    Raises:
        RobotPolicyError: If a limit cannot be built.
    """
    on = [name for name in LIMITS if LIMITS[name].from_robot(robot) is not None]
    off = [name for name in LIMITS if name not in on]
    low, high = robot.joint_limits.low, robot.joint_limits.high
    middle = robot.proprioception(
        joint_positions=_middle(low, high),
        gripper_m=robot.gripper.open,
        ee_position=_middle(robot.workspace.low, robot.workspace.high),
        base_R_ee=np.eye(3),
    )
    robot.action_spec.validate(hold_action(robot, middle, gripper=0.0), where="hold")
    command = robot.command
    return {
        "robot": robot.name,
        "rate_hz": robot.rate_hz,
        "joints": list(robot.joint_names),
        "actions": f"{command.action_space}, {robot.action_spec.size} entries",
        "commands": f"{command.interface} on {command.topic}",
        "gripper": f"{command.gripper_interface} on {command.gripper_topic or command.topic}",
        "pose": robot.ee_pose_topic or "computed from the joints",
        "cameras": sorted(robot.cameras) or ["none"],
        "limits": on,
        "not limited": [f"{name}{_why(robot, name)}" for name in off] or ["nothing"],
    }


def _middle(low: Any, high: Any) -> Any:
    return (np.array(low) + np.array(high)) / 2


def _why(robot: RobotDescription, name: str) -> str:
    if name in ("joint_acceleration", "joint_jerk"):
        label = name.removeprefix("joint_")
        if getattr(robot.joint_limits, label) is None:
            return f" (no joints.{label})"
    if name in ("step_length", "turn_angle") and "joint" in robot.command.action_space:
        return " (actions are joint angles)"
    return "" if robot.kinematics is not None else " (no kinematics or urdf)"
