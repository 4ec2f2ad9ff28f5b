"""Messages to numpy and back; pure functions, no node."""

import array
from collections.abc import Sequence
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import PoseStamped, TwistStamped
from numpy.typing import NDArray
from sensor_msgs.msg import CameraInfo, Image, JointState
from std_msgs.msg import Float64MultiArray, MultiArrayDimension

from robot_policy.core.errors import SpecError
from robot_policy.core.geometry import matrix_from_quat, quat_from_matrix

type Array = NDArray[np.floating[Any]]

_NS_PER_S = 1_000_000_000
_UNIT_TOLERANCE = 1e-2


def stamp_from_ns(ns: int) -> Time:
    """Nanoseconds to a message stamp."""
    return Time(sec=ns // _NS_PER_S, nanosec=ns % _NS_PER_S)


def ns_from_stamp(stamp: Time) -> int:
    """Message stamp to nanoseconds."""
    return stamp.sec * _NS_PER_S + stamp.nanosec


def joint_state_message(
    names: Sequence[str], positions: Array, *, velocities: Array, stamp_ns: int
) -> JointState:
    """Builds a joint state.

    Args:
        names: J names.
        positions: (J,) [rad], or [m] for a finger.
        velocities: (J,) [rad/s], or [m/s].
        stamp_ns: Time of measurement [ns].
    """
    message = JointState(name=list(names))
    message.header.stamp = stamp_from_ns(stamp_ns)
    message.position = [float(x) for x in positions]
    message.velocity = [float(x) for x in velocities]
    return message


def positions_by_name(message: JointState, names: Sequence[str]) -> NDArray[np.float64]:
    """Returns the positions (J,) of `names`, in that order, whatever the order of the message.

    Raises:
        SpecError: If a name is missing or occurs twice, or there are fewer positions than names.
    """
    if len(message.position) != len(message.name):
        raise SpecError(
            "positions and names do not match",
            where="JointState",
            expected=f"{len(message.name)} positions",
            got=len(message.position),
        )
    index = {str(name): i for i, name in enumerate(message.name)}
    if len(index) != len(message.name):
        twice = next(n for n in message.name if list(message.name).count(n) > 1)
        raise SpecError(f"joint {twice!r} occurs twice", where="JointState")
    for name in names:
        if name not in index:
            raise SpecError(f"joint {name!r} is missing", where="JointState", valid=message.name)
    return np.array([message.position[index[name]] for name in names], dtype=np.float64)


def pose_message(position: Array, R: Array, *, frame: str, stamp_ns: int) -> PoseStamped:
    """Builds a pose from a position (3,) [m] and a rotation matrix (3, 3) in `frame`."""
    message = PoseStamped()
    message.header.frame_id = frame
    message.header.stamp = stamp_from_ns(stamp_ns)
    point, quaternion = message.pose.position, message.pose.orientation
    point.x, point.y, point.z = (float(x) for x in position)
    quaternion.w, quaternion.x, quaternion.y, quaternion.z = map(float, quat_from_matrix(R))
    return message


def position_and_rotation(message: PoseStamped, *, frame: str) -> tuple[Array, Array]:
    """Returns position (3,) [m] and rotation matrix (3, 3).

    Raises:
        SpecError: If the pose is in another frame or its quaternion is not of unit length.
    """
    _check_frame(message.header.frame_id, frame, where="PoseStamped")
    point, quaternion = message.pose.position, message.pose.orientation
    quat_wxyz = np.array([quaternion.w, quaternion.x, quaternion.y, quaternion.z])
    length = float(np.linalg.norm(quat_wxyz))
    if not abs(length - 1.0) < _UNIT_TOLERANCE:  # also catches NaN
        raise SpecError("not a unit quaternion", where="PoseStamped", got=f"length {length:g}")
    return np.array([point.x, point.y, point.z]), matrix_from_quat(quat_wxyz)


def twist_message(delta: Array, *, dt_s: float, frame: str, stamp_ns: int) -> TwistStamped:
    """Builds the velocity that makes a motion within one control period.

    Args:
        delta: (6,) translation [m] and rotation vector [rad] in `frame`.
        dt_s: Control period [s].
        frame: Base frame of the arm.
        stamp_ns: Time of the command [ns].
    """
    message = TwistStamped()
    message.header.frame_id = frame
    message.header.stamp = stamp_from_ns(stamp_ns)
    linear, angular = message.twist.linear, message.twist.angular
    velocity = [float(x) / dt_s for x in delta]
    linear.x, linear.y, linear.z, angular.x, angular.y, angular.z = velocity
    return message


def delta_from_twist(message: TwistStamped, *, dt_s: float, frame: str) -> NDArray[np.float64]:
    """Inverse of `twist_message`: the motion (6,) within `dt_s` [m, rad].

    Raises:
        SpecError: If the twist is in another frame or not finite.
    """
    _check_frame(message.header.frame_id, frame, where="TwistStamped")
    linear, angular = message.twist.linear, message.twist.angular
    velocity = np.array([linear.x, linear.y, linear.z, angular.x, angular.y, angular.z])
    if not np.isfinite(velocity).all():
        raise SpecError("not finite", where="TwistStamped", got=velocity.tolist())
    return velocity * dt_s


def finger_message(position_m: float) -> Float64MultiArray:
    """Builds the command of a gripper whose fingers go to `position_m` [m]."""
    return Float64MultiArray(data=[position_m])


def finger_position(message: Float64MultiArray) -> float:
    """Returns the commanded finger position [m].

    Raises:
        SpecError: If the message does not hold exactly one finite number.
    """
    if len(message.data) != 1 or not np.isfinite(message.data[0]):
        raise SpecError(
            "not a finger position", where="gripper", expected="[m]", got=list(message.data)
        )
    return float(message.data[0])


def named_array_message(values: Array, names: Sequence[str]) -> Float64MultiArray:
    """Builds a vector that carries the names of its entries in the label of its dimension."""
    message = Float64MultiArray(data=[float(x) for x in values])
    size = len(message.data)
    message.layout.dim = [MultiArrayDimension(label=",".join(names), size=size, stride=size)]
    return message


def named_array(message: Float64MultiArray, names: Sequence[str]) -> NDArray[np.float64]:
    """Inverse of `named_array_message`.

    Raises:
        SpecError: If the entries are not those of `names`, in that order.
    """
    dimensions: Any = message.layout.dim
    label = dimensions[0].label if dimensions else ""
    if label != ",".join(names) or len(message.data) != len(names):
        raise SpecError(
            "other entries",
            where="Float64MultiArray",
            expected=f"{len(names)}: {','.join(names)}",
            got=f"{len(message.data)}: {label}",
        )
    return np.array(message.data, dtype=np.float64)


def image_message(image: NDArray[np.uint8], *, frame: str, stamp_ns: int) -> Image:
    """Builds an rgb8 image from (h, w, 3) uint8 RGB."""
    height, width, _ = image.shape
    message = Image(height=height, width=width, encoding="rgb8", step=3 * width)
    message.header.frame_id = frame
    message.header.stamp = stamp_from_ns(stamp_ns)
    # rclpy checks every element of anything but an array of this type.
    message.data = array.array("B", np.ascontiguousarray(image).tobytes())
    return message


_CHANNELS = {
    "rgb8": (3, (0, 1, 2)),
    "bgr8": (3, (2, 1, 0)),
    "rgba8": (4, (0, 1, 2)),
    "bgra8": (4, (2, 1, 0)),
    "mono8": (1, (0, 0, 0)),
}
"""Bytes per pixel of an encoding, and which of them are red, green and blue."""


def image_from_message(message: Image) -> NDArray[np.uint8]:
    """Returns (h, w, 3) uint8 RGB from a colour or grey image, without its row padding.

    Raises:
        SpecError: If the encoding is none of 8 bits that is known, or the data are too short.
    """
    if message.encoding not in _CHANNELS:
        raise SpecError(f"encoding {message.encoding!r}", where="Image", valid=_CHANNELS)
    depth, order = _CHANNELS[message.encoding]
    row, size = depth * message.width, message.step * message.height
    data: Any = message.data
    if message.step < row or len(data) < size:
        raise SpecError(
            "image data too short",
            where="Image",
            expected=f"{message.height} rows of at least {row} bytes",
            got=f"step {message.step}, {len(data)} bytes",
        )
    rows = np.frombuffer(data, dtype=np.uint8, count=size)
    rows = rows.reshape(message.height, message.step)[:, :row]
    image = rows.reshape(message.height, message.width, depth)
    # A copy: the message's buffer is not ours to keep.
    return image.copy() if message.encoding == "rgb8" else image[..., list(order)].copy()


def camera_info_message(
    K: Array, *, height: int, width: int, frame: str, stamp_ns: int
) -> CameraInfo:
    """Builds the calibration of a camera without distortion from its intrinsics (3, 3) [px]."""
    message = CameraInfo(height=height, width=width, distortion_model="plumb_bob")
    message.header.frame_id = frame
    message.header.stamp = stamp_from_ns(stamp_ns)
    message.d = [0.0] * 5
    message.k = [float(x) for x in np.ravel(K)]
    message.r = [float(x) for x in np.eye(3).ravel()]
    message.p = [float(x) for x in np.hstack([K, np.zeros((3, 1))]).ravel()]
    return message


def _check_frame(got: str, expected: str, *, where: str) -> None:
    if got != expected:
        raise SpecError("another frame", where=where, expected=expected, got=got or "none")
