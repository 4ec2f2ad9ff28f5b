"""The twin node's publishers: what an arm, its cameras and its simulator report."""

from typing import Any, Protocol

import numpy as np
from geometry_msgs.msg import PoseStamped
from numpy.typing import NDArray
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, Image, JointState
from std_msgs.msg import Float64MultiArray

from robot_policy.core.observation import Observation
from robot_policy.core.robot import RobotDescription
from robot_policy.core.specs import PolicySpec
from robot_policy_ros import conversions as convert
from robot_policy_ros.qos import SENSOR


class CameraGeometry(Protocol):
    """Geometry of a camera."""

    @property
    def intrinsics(self) -> NDArray[np.floating[Any]]:
        """(3, 3) [px]."""
        ...


class SimulatedArm(Protocol):
    """What the twin's environment tells beyond its observations."""

    @property
    def spec(self) -> PolicySpec:
        """Its observations."""
        ...

    @property
    def joint_positions(self) -> NDArray[np.float64]:
        """(J,) [rad]."""
        ...

    @property
    def joint_velocities(self) -> NDArray[np.float64]:
        """(J,) [rad/s]."""
        ...

    @property
    def gripper_m(self) -> float:
        """Finger position [m]."""
        ...

    @property
    def ee_pose(self) -> NDArray[np.float64]:
        """(4, 4) ``base_T_ee`` [m]."""
        ...

    def camera_info(self, camera: str, *, height: int, width: int) -> CameraGeometry:
        """Returns the geometry of a camera for an image of that size [px]."""
        ...


class ArmState:
    """Publishes observations on the topics of the robot description.

    Args:
        node: Owns the publishers.
        robot: Gives topics, names and frames.
        arm: Gives what observations do not hold.
    """

    def __init__(self, node: Node, robot: RobotDescription, arm: SimulatedArm) -> None:
        self._robot = robot
        self._arm = arm
        spec = arm.spec
        create = node.create_publisher
        self._cameras = {
            name: (
                create(Image, robot.cameras[name].image_topic, SENSOR),
                create(CameraInfo, robot.cameras[name].info_topic, SENSOR),
            )
            for name in spec.cameras
        }
        self._names = () if spec.environment_state is None else spec.environment_state.names
        topic = robot.environment_state_topic
        self._privileged = None if topic is None else create(Float64MultiArray, topic, SENSOR)
        topic = robot.ee_pose_topic
        self._pose = None if topic is None else create(PoseStamped, topic, SENSOR)
        self._joints = create(JointState, robot.joint_states_topic, SENSOR)

    def publish(self, observation: Observation, *, stamp_ns: int) -> None:
        """Publishes everything under one stamp; the joint state, which others act upon, last."""
        for name, image in observation.images.items():
            self._publish_image(name, observation, stamp_ns, image.shape[:2])
        if self._privileged is not None and observation.environment_state is not None:
            values = observation.environment_state
            self._privileged.publish(convert.named_array_message(values, self._names))
        robot = self._robot
        if self._pose is not None:
            base_T_ee = self._arm.ee_pose
            self._pose.publish(
                convert.pose_message(
                    base_T_ee[:3, 3], base_T_ee[:3, :3], frame=robot.base_frame, stamp_ns=stamp_ns
                )
            )
        self._joints.publish(
            convert.joint_state_message(
                (*robot.joint_names, robot.gripper.joint),
                np.append(self._arm.joint_positions, self._arm.gripper_m),
                velocities=np.append(self._arm.joint_velocities, 0.0),
                stamp_ns=stamp_ns,
            )
        )

    def _publish_image(
        self, name: str, observation: Observation, stamp_ns: int, size: tuple[int, ...]
    ) -> None:
        images, infos = self._cameras[name]
        frame, (height, width) = self._robot.cameras[name].frame, size
        info = self._arm.camera_info(name, height=height, width=width)
        infos.publish(
            convert.camera_info_message(
                info.intrinsics, height=height, width=width, frame=frame, stamp_ns=stamp_ns
            )
        )
        image = observation.images[name]
        images.publish(convert.image_message(image, frame=frame, stamp_ns=stamp_ns))
