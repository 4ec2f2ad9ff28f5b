"""Every message form, there and back, and what it refuses."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

pytest.importorskip("rclpy")
from trajectory_msgs.msg import JointTrajectory

from robot_policy.core.errors import SpecError
from robot_policy.core.geometry import matrix_from_rotvec
from robot_policy.core.joint_path import resampled
from robot_policy.core.robot import (
    CommandInterface,
    GripperInterface,
    RobotDescription,
    load_robot,
)
from robot_policy.core.specs import ActionSpace
from robot_policy_ros import trajectories
from robot_policy_ros.interfaces.registry import GRIPPERS, INTERFACES

pytestmark = pytest.mark.ros

TWIN = load_robot("panda_twin")
NAMES = TWIN.joint_names
finite = st.floats(-3, 3, width=64)


def robot_with(
    interface: CommandInterface, gripper: GripperInterface = GripperInterface.POSITION
) -> RobotDescription:
    command = replace(TWIN.command, interface=interface, gripper_interface=gripper)
    return replace(TWIN, command=command)


def size(interface: CommandInterface) -> int:
    return 7 if interface.space == ActionSpace.JOINT_POSITION else 6


def test_every_interface_of_a_description_has_its_form() -> None:
    assert set(INTERFACES) == set(CommandInterface)
    assert set(GRIPPERS) | {GripperInterface.WITH_ARM} == set(GripperInterface)


@pytest.mark.parametrize("interface", list(CommandInterface))
@given(data=st.data())
def test_what_is_sent_is_received(interface: CommandInterface, data: st.DataObject) -> None:
    form = INTERFACES[interface](robot_with(interface))
    values = data.draw(arrays(np.float64, (1, size(interface)), elements=finite))
    message = form.message(values, stamp_ns=5)
    assert isinstance(message, form.message_type)
    received = form.read(message, start=None)
    assert received.stamp_ns in (5, None)
    if interface == CommandInterface.POSE:
        np.testing.assert_array_equal(received.values[:, :3], values[:, :3])
        np.testing.assert_allclose(
            matrix_from_rotvec(received.values[0, 3:]),
            matrix_from_rotvec(values[0, 3:]),
            atol=1e-7,
        )
    else:
        np.testing.assert_allclose(received.values, values, atol=1e-12)


@pytest.mark.parametrize("interface", list(CommandInterface))
def test_only_the_chunk_sends_what_is_planned(interface: CommandInterface) -> None:
    form = INTERFACES[interface](robot_with(interface))
    values = np.arange(4 * size(interface), dtype=float).reshape(4, -1) / 100
    received = form.read(form.message(values, stamp_ns=0), start=None).values
    sent = values if interface == CommandInterface.JOINT_TRAJECTORY_CHUNK else values[:1]
    if interface == CommandInterface.POSE:
        sent = sent.copy()
    np.testing.assert_allclose(received, sent, atol=1e-9)


@pytest.mark.parametrize(
    "interface", [CommandInterface.JOINT_TRAJECTORY, CommandInterface.FORWARD_POSITION]
)
def test_the_gripper_may_go_with_the_arm(interface: CommandInterface) -> None:
    form = INTERFACES[interface](robot_with(interface, GripperInterface.WITH_ARM))
    values = np.append(np.zeros(7), 0.03)[None]
    message = form.message(values, stamp_ns=0)
    np.testing.assert_array_equal(form.read(message, start=None).values, values)
    if interface == CommandInterface.JOINT_TRAJECTORY:
        assert message.joint_names[-1] == TWIN.gripper.joint


def test_a_trajectory_says_now_and_has_positions_only() -> None:
    """What joint_trajectory_controller needs to interpolate, and to take over at once."""
    form = INTERFACES["joint_trajectory_chunk"](robot_with(CommandInterface.JOINT_TRAJECTORY_CHUNK))
    message = form.message(np.zeros((3, 7)), stamp_ns=7)
    assert (message.header.stamp.sec, message.header.stamp.nanosec) == (0, 0)
    assert list(message.joint_names) == list(NAMES)
    times = [p.time_from_start.sec + p.time_from_start.nanosec * 1e-9 for p in message.points]
    assert times == pytest.approx([0.05, 0.10, 0.15])
    assert all(len(p.positions) == 7 for p in message.points)
    assert not any(len(p.velocities) or len(p.accelerations) for p in message.points)


def test_a_trajectory_s_joints_may_have_any_order() -> None:
    points = np.arange(14, dtype=float).reshape(2, 7)
    order = np.random.default_rng(0).permutation(7)
    message = trajectories.trajectory_message(
        [NAMES[i] for i in order], points[:, order], period_s=0.05
    )
    times, back = trajectories.points_by_name(message, NAMES)
    np.testing.assert_array_equal(back, points)
    assert times == pytest.approx([0.05, 0.10])


def broken(change: str) -> JointTrajectory:
    message = trajectories.trajectory_message(NAMES, np.zeros((2, 7)), period_s=0.05)
    points: Any = message.points
    match change:
        case "joint":
            message.joint_names = [*NAMES[:-1], "elbow"]
        case "twice":
            message.joint_names = [*NAMES[:-1], NAMES[0]]
        case "empty":
            message.points = []
        case "short":
            points[1].positions = [0.0]
        case "nan":
            points[0].positions = [float("nan")] * 7
        case "time":
            points[1].time_from_start = points[0].time_from_start
        case "past":
            points[0].time_from_start.sec = -1
    return message


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ("joint", "other joints; expected panda_joint1"),
        ("twice", "other joints"),
        ("empty", "no point"),
        ("short", "a point without a position of each joint"),
        ("nan", "not finite"),
        ("time", "times must increase"),
        ("past", "times must increase"),
    ],
)
def test_trajectories_that_cannot_be_executed_are_refused(change: str, line: str) -> None:
    form = INTERFACES["joint_trajectory"](robot_with(CommandInterface.JOINT_TRAJECTORY))
    with pytest.raises(SpecError, match=line):
        form.read(broken(change), start=None)


def test_trajectories_of_others_are_interpolated_once_per_period() -> None:
    start, end = np.zeros(1), np.array([[1.0]])
    one = resampled(np.array([0.2]), end, period_s=0.05, start=start)
    np.testing.assert_allclose(one[:, 0], [0.25, 0.5, 0.75, 1.0])
    odd = resampled(np.array([0.04, 0.12]), np.array([[0.4], [1.2]]), period_s=0.05, start=start)
    np.testing.assert_allclose(odd[:, 0], [0.5, 1.0, 1.2])
    at_once = resampled(np.array([0.0]), end, period_s=0.05, start=start)
    np.testing.assert_allclose(at_once, [[1.0]])
    endless = resampled(np.array([1e6]), end, period_s=0.05, start=start)
    assert len(endless) == 1000


def test_positions_for_other_joints_are_refused() -> None:
    form = INTERFACES["forward_position"](robot_with(CommandInterface.FORWARD_POSITION))
    message = form.message(np.zeros((1, 7)), stamp_ns=0)
    for data in ([0.0] * 6, [float("inf")] * 7, []):
        message.data = data
        with pytest.raises(SpecError, match="expected 7 numbers: panda_joint1"):
            form.read(message, start=None)


def test_poses_in_another_frame_or_nowhere_are_refused() -> None:
    form = INTERFACES["pose"](robot_with(CommandInterface.POSE))
    message = form.message(np.zeros((1, 6)), stamp_ns=0)
    message.pose.position.x = float("nan")
    with pytest.raises(SpecError, match="not finite"):
        form.read(message, start=None)
    message.header.frame_id = "world"
    with pytest.raises(SpecError, match="another frame"):
        form.read(message, start=None)


@pytest.mark.parametrize("interface", list(GRIPPERS))
@given(position=st.floats(-1, 1))
def test_grippers(interface: str, position: float) -> None:
    form = GRIPPERS[interface](TWIN)
    message = form.message(position)
    assert isinstance(message, form.message_type)
    assert form.read(message) == position
