"""Writes what a black box holds as a bag, so that a fault can be looked into with usual tools."""

import re
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from robot_policy.core.geometry import quat_from_matrix
from robot_policy.core.robot import RobotDescription
from robot_policy.data import ros_messages as ros
from robot_policy.data.bag_writer import BagWriter
from robot_policy.runtime.black_box import Record
from robot_policy.runtime.planning import Plan
from robot_policy.runtime.safety.decision import Decision
from robot_policy_ros.control_loop import HOLD
from robot_policy_ros.inputs import Joints, Pose

_KEPT = 50
"""Reports in a folder; the oldest go."""


def write_fault_bag(
    folder: Path, records: Sequence[Record], *, reason: str, robot: RobotDescription
) -> Path:
    """Writes a bag named after the moment and the reason, whole or not at all.

    Inputs lie under ``input/``, decisions, holds and plans under their names, and the reason under
    ``fault``.

    Args:
        folder: Of all reports; made if it is not there.
        records: What happened, in any order.
        reason: Of the fault.
        robot: Gives names and frames.

    Returns:
        Folder of the bag.

    Raises:
        OSError: If it cannot be written.
    """
    end_ns = max((record.stamp_ns for record in records), default=0)
    moment = datetime.fromtimestamp(end_ns * 1e-9, UTC).strftime("%Y-%m-%dT%H-%M-%S-%f")
    words = re.sub(r"[^a-z0-9]+", "_", reason.lower()).strip("_")[:40]
    with BagWriter(folder / f"{moment}_{words}") as bag:
        for record in records:
            for topic, message in _messages(record, robot):
                bag.write(topic, message, stamp_ns=record.stamp_ns)
        bag.write("fault", ros.text(reason), stamp_ns=end_ns)
    _forget_the_oldest(folder)
    return bag.folder


def _messages(record: Record, robot: RobotDescription) -> list[tuple[str, ros.RosMessage]]:
    value, channel, stamp_ns = record.value, record.channel, record.stamp_ns
    match value:
        case Joints():
            names = (*robot.joint_names, robot.gripper.joint)
            positions = np.append(value.positions, value.gripper_m)
            joints = ros.joint_state(names, positions, stamp_ns=stamp_ns)
            return [(f"input/{channel}", joints)]
        case Pose():
            quat_wxyz = quat_from_matrix(value.R)
            pose = ros.pose(value.position, quat_wxyz, frame=robot.base_frame, stamp_ns=stamp_ns)
            return [(f"input/{channel}", pose)]
        case Decision():
            return _decision(channel, value, robot)
        case Plan():
            labels = ("step", "action")
            duration = ros.number(value.duration_ns * 1e-6)
            return [(channel, ros.array(value.chunk, labels)), (f"{channel}/duration_ms", duration)]
        case str():
            return [(channel, ros.text(value))]
        case _:
            return [_array(channel, np.asarray(value), stamp_ns, robot)]


def _decision(
    channel: str, decision: Decision, robot: RobotDescription
) -> list[tuple[str, ros.RosMessage]]:
    names = robot.action_spec.names
    messages = [(channel, ros.named_array(decision.action, names))]
    if decision.reasons:
        messages.append((f"{channel}/reasons", ros.text("; ".join(decision.reasons))))
    return messages


def _array(
    channel: str, value: Any, stamp_ns: int, robot: RobotDescription
) -> tuple[str, ros.RosMessage]:
    if value.dtype == np.uint8:
        camera = robot.cameras.get(channel)
        frame = "" if camera is None else camera.frame
        return f"input/{channel}", ros.image(value, stamp_ns=stamp_ns, frame=frame)
    if channel == HOLD:
        return channel, ros.named_array(value, robot.action_spec.names)
    return f"input/{channel}", ros.named_array(value)


def _forget_the_oldest(folder: Path) -> None:
    # Names begin with the moment, so they sort by it.
    reports = sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    for report in reports[:-_KEPT]:
        shutil.rmtree(report, ignore_errors=True)
