"""An arm that stands still, to measure the policy node with: it reports steadily and listens."""

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from geometry_msgs.msg import PoseStamped, TwistStamped
from numpy.typing import NDArray
from rclpy.node import Node
from rclpy.publisher import Publisher
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import Float64MultiArray

from robot_policy.core.robot import RobotDescription, load_robot
from robot_policy.core.specs import PolicySpec
from robot_policy.runtime.policy_folder import PolicyFolder
from robot_policy.runtime.quantiles import Quantiles
from robot_policy_ros import conversions as convert
from robot_policy_ros.node_main import node_main
from robot_policy_ros.qos import COMMAND, SENSOR


class RestingArm(Node):
    """Publishes the same state and the same pictures at every tick, under the time of the tick.

    Args:
        robot: Gives topics, names and frames.
        spec: Of the policy; what it needs is published.
        rate_hz: Of the state [Hz].
        name: Of the node.
        options: For rclpy.
    """

    def __init__(
        self,
        robot: RobotDescription,
        spec: PolicySpec,
        *,
        rate_hz: float,
        name: str = "resting_arm",
        **options: Any,
    ) -> None:
        super().__init__(name, **options)
        self._robot = robot
        self._spec = spec
        self.response_ms = Quantiles()
        """From the beginning of a tick to the command that it is answered by [ms]."""
        self.ticks = 0
        """Times that it has published."""
        self._ticked_ns = 0
        limits = robot.joint_limits
        self._joints = np.mean([limits.low, limits.high], axis=0)
        self._images = {
            camera: (
                self.create_publisher(Image, robot.cameras[camera].image_topic, SENSOR),
                _picture(*image.shape[:2]),
            )
            for camera, image in spec.cameras.items()
        }
        self._where = self._ee_pose()
        self._pose = self._publisher(PoseStamped, robot.ee_pose_topic)
        privileged = robot.environment_state_topic if spec.environment_state else None
        self._privileged = self._publisher(Float64MultiArray, privileged)
        self._state = self.create_publisher(JointState, robot.joint_states_topic, SENSOR)
        self.create_subscription(TwistStamped, robot.command.topic, self._on_command, COMMAND)
        self.create_timer(1.0 / rate_hz, self._tick)

    def _publisher(self, kind: Any, topic: str | None) -> Publisher | None:
        return None if topic is None else self.create_publisher(kind, topic, SENSOR)

    def _tick(self) -> None:
        robot, stamp_ns = self._robot, self.get_clock().now().nanoseconds
        self.ticks += 1
        self._ticked_ns = time.monotonic_ns()
        for camera, (publisher, picture) in self._images.items():
            frame = robot.cameras[camera].frame
            publisher.publish(convert.image_message(picture, frame=frame, stamp_ns=stamp_ns))
        if self._privileged is not None and self._spec.environment_state is not None:
            names = self._spec.environment_state.names
            zeros = np.zeros(len(names), np.float32)
            self._privileged.publish(convert.named_array_message(zeros, names))
        if self._pose is not None:
            position, R = self._where
            self._pose.publish(
                convert.pose_message(position, R, frame=robot.base_frame, stamp_ns=stamp_ns)
            )
        positions = np.append(self._joints, robot.gripper.open)
        self._state.publish(
            convert.joint_state_message(
                (*robot.joint_names, robot.gripper.joint),
                positions,
                velocities=np.zeros_like(positions),
                stamp_ns=stamp_ns,
            )
        )

    def _ee_pose(self) -> tuple[NDArray[Any], NDArray[Any]]:
        if self._robot.kinematics is None:
            box = self._robot.workspace
            return np.mean([box.low, box.high], axis=0), np.eye(3)
        base_T_ee = self._robot.kinematics.pose(self._joints)
        return base_T_ee[:3, 3], base_T_ee[:3, :3]

    def _on_command(self, message: TwistStamped) -> None:
        del message
        self.response_ms.add((time.monotonic_ns() - self._ticked_ns) * 1e-6)


def _picture(height: int, width: int) -> NDArray[Any]:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def main() -> int:
    """Entry point: ``python -m robot_policy_ros.resting_arm CHECKPOINT --robot NAME --rate HZ``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path, help="policy whose inputs are published")
    parser.add_argument("--robot", required=True, help="robot description, name or YAML file")
    parser.add_argument("--rate", type=float, required=True, help="of the state [Hz]")
    options, _ = parser.parse_known_args()
    spec, robot = PolicyFolder.find(options.checkpoint).spec(), load_robot(options.robot)
    return node_main(lambda: RestingArm(robot, spec, rate_hz=options.rate))


if __name__ == "__main__":
    sys.exit(main())
