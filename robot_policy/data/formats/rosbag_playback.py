"""What a robot would have published in an episode, so that its bag can be played to a policy."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.command_values import values_from_actions
from robot_policy.core.errors import RobotPolicyError
from robot_policy.core.geometry import matrix_from_rotvec, quat_from_matrix
from robot_policy.core.observation import ACTION, ENVIRONMENT_STATE, STATE
from robot_policy.core.robot import (
    CommandInterface,
    GripperInterface,
    RobotDescription,
    load_robot,
)
from robot_policy.data import ros_messages
from robot_policy.data.formats.rosbag_layout import absolute
from robot_policy.data.recording import Description
from robot_policy.data.ros_messages import RosMessage

type Published = tuple[str, RosMessage]
"""Topic and message."""


def robot_of(description: Description) -> RobotDescription | None:
    """Returns the robot that a dataset was recorded with, None if it is not known here."""
    try:
        return load_robot(description.robot)
    except RobotPolicyError:
        return None


class Playback:
    """Sensors and commands of a known robot; nothing of an unknown one.

    Args:
        description: Of the dataset.
        robot: It was recorded with.
    """

    def __init__(self, description: Description, robot: RobotDescription | None) -> None:
        self._robot = robot if robot is not None and _fits(description, robot) else None
        self._names: tuple[str, ...] = ()
        spec = description.spec
        if spec is not None and spec.environment_state is not None:
            self._names = spec.environment_state.names

    def sensors(self, values: dict[str, NDArray[Any]], *, stamp_ns: int) -> Iterator[Published]:
        """Yields what is measured; the joint state, which sets the moment, comes last.

        Args:
            values: Feature to its value in one frame.
            stamp_ns: When [ns].
        """
        robot = self._robot
        if robot is None:
            return
        state = values[STATE].astype(np.float64)
        if robot.environment_state_topic is not None and ENVIRONMENT_STATE in values:
            yield (
                absolute(robot.environment_state_topic),
                ros_messages.named_array(values[ENVIRONMENT_STATE], self._names),
            )
        if robot.ee_pose_topic is not None:
            quat_wxyz = quat_from_matrix(robot.ee_rotation(state))
            position = robot.ee_position(state)
            yield (
                absolute(robot.ee_pose_topic),
                ros_messages.pose(position, quat_wxyz, frame=robot.base_frame, stamp_ns=stamp_ns),
            )
        gripper = robot.gripper.position_from_fraction(robot.gripper_fraction(state))
        names = (*robot.joint_names, robot.gripper.joint)
        positions = np.append(robot.joint_positions(state), gripper)
        yield (
            absolute(robot.joint_states_topic),
            ros_messages.joint_state(names, positions, stamp_ns=stamp_ns),
        )

    def commands(self, values: dict[str, NDArray[Any]], *, stamp_ns: int) -> Iterator[Published]:
        """Yields what is commanded.

        Args:
            values: Feature to its value in one frame.
            stamp_ns: When [ns].
        """
        robot = self._robot
        if robot is None:
            return
        action = values[ACTION].astype(np.float64)
        arm = values_from_actions(robot, action[None].astype(np.float32), values[STATE])[0]
        gripper = robot.gripper.position_from_fraction(float(action[-1]))
        if robot.command.gripper_interface is GripperInterface.WITH_ARM:
            arm = np.append(arm, gripper)
        yield absolute(robot.command.topic), _arm_message(robot, arm, stamp_ns)
        match robot.command.gripper_interface:
            case GripperInterface.POSITION:
                finger = ros_messages.named_array(np.array([gripper]))
                yield absolute(robot.command.gripper_topic), finger
            case GripperInterface.JOINT_TRAJECTORY:
                finger = ros_messages.joint_trajectory(
                    [robot.gripper.joint], np.array([[gripper]]), period_s=robot.dt_s
                )
                yield absolute(robot.command.gripper_topic), finger
            case GripperInterface.WITH_ARM:
                pass


def _arm_message(robot: RobotDescription, arm: NDArray[Any], stamp_ns: int) -> RosMessage:
    """A command in the form that the robot takes: its values, and the gripper if it goes along."""
    frame = robot.base_frame
    match robot.command.interface:
        case CommandInterface.TWIST:
            velocity = arm / robot.dt_s
            return ros_messages.twist(velocity[:3], velocity[3:], frame=frame, stamp_ns=stamp_ns)
        case CommandInterface.POSE:
            quat_wxyz = quat_from_matrix(matrix_from_rotvec(arm[3:]))
            return ros_messages.pose(arm[:3], quat_wxyz, frame=frame, stamp_ns=stamp_ns)
        case CommandInterface.FORWARD_POSITION:
            return ros_messages.named_array(arm)
        case CommandInterface.JOINT_TRAJECTORY | CommandInterface.JOINT_TRAJECTORY_CHUNK:
            names = (*robot.joint_names, robot.gripper.joint)[: len(arm)]
            return ros_messages.joint_trajectory(names, arm[None], period_s=robot.dt_s)


def _fits(description: Description, robot: RobotDescription) -> bool:
    """Whether state and action are those of the robot, and not just anybody's."""
    spec = description.spec
    return (
        spec is not None
        and spec.action_space == robot.command.action_space
        and spec.state.names == robot.state_spec.names
        and spec.action.shape == robot.action_spec.shape
        and description.features.keys() >= {STATE, ACTION}
    )
