"""What the commands in a bag say, in whatever form the robot takes them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.errors import DataError
from robot_policy.core.geometry import (
    matrix_from_quat,
    rotvec_from_matrix,
    rotvec_named,
    rotvec_near,
)
from robot_policy.core.joint_path import resampled
from robot_policy.core.robot import CommandInterface, GripperInterface, RobotDescription
from robot_policy.core.specs import ActionSpace
from robot_policy.data.formats.rosbag_resampling import Times

type Values = NDArray[np.floating]

_UNIT_TOLERANCE = 1e-2


class Commands:
    """Reads the messages of a robot's command topics.

    Args:
        robot: Says in which form it is commanded.
    """

    def __init__(self, robot: RobotDescription) -> None:
        self._robot = robot
        self._interface = robot.command.interface
        self._with_gripper = robot.command.gripper_interface is GripperInterface.WITH_ARM
        self._names = robot.joint_names
        if self._with_gripper:
            self._names = (*robot.joint_names, robot.gripper.joint)
        space = self._interface.space
        self.is_delta = space.is_delta
        """Whether commands are displacements."""
        self.is_pose = space is ActionSpace.EE_POSE
        """Whether they are poses."""
        self.size = 6 if space.value.startswith("ee_") else len(robot.joint_names)
        """Entries of a command, without the gripper."""

    def arm(
        self, message: Any, *, header_ns: int, log_ns: int, where: str
    ) -> tuple[int, Values, float | None]:
        """Returns what the arm is told.

        Args:
            message: Of the arm's command topic.
            header_ns: Stamp of its header, if it has one [ns].
            log_ns: When it was received [ns].
            where: Bag and topic, named in the error.

        Returns:
            When it was sent [ns], (n, M) values one control period apart, and the position of the
            gripper's joint where it goes along.

        Raises:
            DataError: If the message is not for this robot, or not finite.
        """
        match self._interface:
            case CommandInterface.TWIST:
                sent_ns, values = header_ns, self._twist(message, where)
            case CommandInterface.POSE:
                sent_ns, values = header_ns, self._pose(message, where)
            case CommandInterface.FORWARD_POSITION:
                sent_ns, values = log_ns, np.array(message.data, dtype=np.float64)[None]
            case _:
                # A header's stamp of zero means now.
                sent_ns, values = header_ns or log_ns, self._trajectory(message, where)
        if values.shape[1] != self.size + self._with_gripper or not np.isfinite(values).all():
            raise DataError(
                "not a command of this robot, or not finite",
                where=where,
                expected=f"{self.size + self._with_gripper} numbers",
                got=values.tolist(),
            )
        if self._with_gripper:
            return sent_ns, values[:, :-1], float(values[0, -1])
        return sent_ns, values, None

    def gripper(self, message: Any, *, where: str) -> float:
        """Returns the commanded fraction, 0 open .. 1 closed.

        Raises:
            DataError: If it is not a command of the gripper.
        """
        if self._robot.command.gripper_interface is GripperInterface.JOINT_TRAJECTORY:
            position = np.array([point.positions[-1:] for point in message.points])[-1:].ravel()
        else:
            position = np.asarray(message.data, dtype=np.float64)
        if position.shape != (1,) or not np.isfinite(position[0]):
            raise DataError("not a position of the gripper", where=where, got=position.tolist())
        return self.fraction(float(position[0]))

    def fraction(self, position: float) -> float:
        """Position of the gripper's joint to 0 open .. 1 closed."""
        return self._robot.gripper.fraction_from_position(position)

    def in_order(self, sent: list[tuple[int, Values]]) -> tuple[Times, Values]:
        """Returns all places and displacements in the order in which they were due.

        A command replaces what earlier ones had told for later than it was sent.

        Args:
            sent: When [ns] and what, in the order of the times.

        Returns:
            (M,) times [ns] and (M, D) values.
        """
        times: list[int] = []
        values: list[Values] = []
        period_ns = round(1e9 * self._robot.dt_s)
        for sent_ns, steps in sent:
            while times and times[-1] > sent_ns:
                times.pop()
                values.pop()
            for number, value in enumerate(steps):
                if self.is_pose:
                    near = values[-1][3:] if values else rotvec_named(value[3:])
                    value = np.concatenate([value[:3], rotvec_near(value[3:], near)])
                times.append(sent_ns + number * period_ns)
                values.append(value)
        return np.array(times, dtype=np.int64), np.array(values).reshape(len(values), self.size)

    def _twist(self, message: Any, where: str) -> Values:
        self._check_frame(message, where)
        linear, angular = message.twist.linear, message.twist.angular
        velocity = np.array([linear.x, linear.y, linear.z, angular.x, angular.y, angular.z])
        return velocity[None] * self._robot.dt_s

    def _pose(self, message: Any, where: str) -> Values:
        self._check_frame(message, where)
        position, R = read_pose(message, where=where)
        return np.concatenate([position, rotvec_from_matrix(R)])[None]

    def _trajectory(self, message: Any, where: str) -> Values:
        names = [str(name) for name in message.joint_names]
        points = [np.asarray(point.positions, np.float64) for point in message.points]
        if sorted(names) != sorted(self._names) or any(len(p) != len(names) for p in points):
            raise DataError("other joints", where=where, expected=self._names, got=names)
        if not points:
            raise DataError("a trajectory without a point", where=where)
        times = [point.time_from_start for point in message.points]
        times_s = np.array([time.sec + time.nanosec * 1e-9 for time in times])
        if times_s[0] < 0 or (np.diff(times_s) <= 0).any():
            raise DataError("times must increase", where=where, got=times_s.tolist())
        ordered = np.stack(points)[:, [names.index(name) for name in self._names]]
        return resampled(times_s, ordered, period_s=self._robot.dt_s, start=None)

    def _check_frame(self, message: Any, where: str) -> None:
        check_frame(message, self._robot, where=where)


def check_frame(message: Any, robot: RobotDescription, *, where: str) -> None:
    """Checks that a message is in the robot's base frame.

    Raises:
        DataError: If it is in another one.
    """
    frame = str(message.header.frame_id)
    if frame != robot.base_frame:
        raise DataError(
            "another frame", where=where, expected=robot.base_frame, got=frame or "none"
        )


def read_pose(message: Any, *, where: str) -> tuple[Values, Values]:
    """Returns position (3,) [m] and rotation matrix (3, 3).

    Raises:
        DataError: If the quaternion is not of unit length.
    """
    point, q = message.pose.position, message.pose.orientation
    quat_wxyz = np.array([q.w, q.x, q.y, q.z], dtype=np.float64)
    check_unit(float(np.linalg.norm(quat_wxyz)), where=where)
    return np.array([point.x, point.y, point.z]), matrix_from_quat(quat_wxyz)


def check_unit(length: float, *, where: str) -> None:
    """Checks the length of a quaternion.

    Raises:
        DataError: If it is not 1.
    """
    if not abs(length - 1.0) < _UNIT_TOLERANCE:  # also catches NaN
        raise DataError("not a unit quaternion", where=where, got=f"length {length:g}")
