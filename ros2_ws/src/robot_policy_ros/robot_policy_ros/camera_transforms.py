"""Publishes where calibrated cameras are, as static transforms."""

import importlib
from typing import Any

from geometry_msgs.msg import TransformStamped
from rclpy.node import Node

from robot_policy.core.camera_calibration import CameraCalibration
from robot_policy.core.robot import RobotDescription
from robot_policy_ros import conversions as convert
from robot_policy_ros.qos import LATCHED

TF_STATIC = "/tf_static"
"""tf2_msgs/TFMessage, where that is installed."""


class CameraTransforms:
    """Publishes the calibrations of a robot description once; late subscribers get them too.

    With tf2_msgs they go to ``/tf_static``, where everybody looks. Without it, each goes to
    ``~/<camera>/transform`` as geometry_msgs/TransformStamped.

    Args:
        node: Owns the publishers.
        robot: Gives calibrations and frames.
    """

    def __init__(self, node: Node, robot: RobotDescription) -> None:
        self._node = node
        self._publishers: list[Any] = []
        stamp_ns = node.get_clock().now().nanoseconds
        transforms = {
            name: transform_message(calibration, child=robot.cameras[name].frame, stamp_ns=stamp_ns)
            for name, calibration in robot.calibrations.items()
        }
        if not transforms:
            return
        message_type = _tf_message()
        if message_type is not None:
            self._publish(message_type, TF_STATIC, message_type(transforms=[*transforms.values()]))
            return
        for name, transform in transforms.items():
            self._publish(TransformStamped, f"~/{name}/transform", transform)

    def destroy(self) -> None:
        """Ends the publishers."""
        for publisher in self._publishers:
            self._node.destroy_publisher(publisher)
        self._publishers.clear()

    def _publish(self, message_type: Any, topic: str, message: Any) -> None:
        publisher = self._node.create_publisher(message_type, topic, LATCHED)
        publisher.publish(message)
        self._publishers.append(publisher)


def transform_message(
    calibration: CameraCalibration, *, child: str, stamp_ns: int
) -> TransformStamped:
    """Builds the transform that maps the frame `child` to the parent of the calibration."""
    message = TransformStamped(child_frame_id=child)
    message.header.frame_id = calibration.parent
    message.header.stamp = convert.stamp_from_ns(stamp_ns)
    shift, turn = message.transform.translation, message.transform.rotation
    shift.x, shift.y, shift.z = calibration.position
    turn.w, turn.x, turn.y, turn.z = calibration.quat_wxyz
    return message


def _tf_message() -> Any:
    try:
        return importlib.import_module("tf2_msgs.msg").TFMessage
    except ImportError:  # the wheels do not have it
        return None
