"""Standard ROS 2 messages as bytes, without ROS: definitions and encoding come from rosbags."""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.errors import DataError, UnknownNameError

if TYPE_CHECKING:
    from rosbags.typesys.store import Typestore

_NS_PER_S = 1_000_000_000


@dataclass(frozen=True, slots=True)
class RosMessage:
    """A message as it travels.

    Attributes:
        type: For example ``sensor_msgs/msg/JointState``.
        data: CDR, with its four bytes of header, as rclpy's ``serialize_message`` returns it.
    """

    type: str
    data: bytes


@cache
def typestore() -> "Typestore":
    """Returns the message types of Jazzy; those used here are the same in Humble and Kilted."""
    from rosbags.typesys import Stores, get_typestore  # an optional extra

    return get_typestore(Stores.ROS2_JAZZY)


def check_type(message_type: str) -> None:
    """Checks that a message type is known.

    Raises:
        UnknownNameError: If it is not a standard one.
    """
    if message_type not in typestore().fielddefs:
        known = [name for name in typestore().fielddefs if "/msg/" in name]
        package = message_type.partition("/")[0]
        valid = [name for name in known if name.startswith(f"{package}/")]
        raise UnknownNameError.of(
            "message type", message_type, valid or {name.partition("/")[0] for name in known}
        )


def decode(message: RosMessage) -> Any:
    """Returns the message as an object with the fields of its definition.

    Raises:
        UnknownNameError: If its type is not a standard one.
        DataError: If the bytes are not such a message.
    """
    return _decode(message)[0]


def without_padding(message: RosMessage) -> RosMessage:
    """Returns the message without what Fast DDS writes after an empty array at its end.

    It aligns even an array without elements, a joint state's efforts for example, and readers that
    compare sizes refuse the four bytes.

    Raises:
        UnknownNameError: If its type is not a standard one.
        DataError: If the bytes are not such a message.
    """
    padding = _decode(message)[1]
    return replace(message, data=message.data[:-padding]) if padding else message


def _decode(message: RosMessage) -> tuple[Any, int]:
    """Returns the decoded message and how many bytes of padding are at its end."""
    from rosbags.serde import SerdeError

    check_type(message.type)
    failure: Exception | None = None
    for padding in (0, 4):
        data = message.data[: len(message.data) - padding]
        try:
            return typestore().deserialize_cdr(data, message.type), padding
        except (SerdeError, ValueError, IndexError, struct.error) as error:
            failure = failure or error
    raise DataError("not such a message", where=message.type, got=failure) from failure


def joint_state(
    names: Sequence[str],
    positions: NDArray[np.floating[Any]],
    *,
    stamp_ns: int,
    velocities: NDArray[np.floating[Any]] | None = None,
    frame: str = "",
) -> RosMessage:
    """Encodes positions (J,) and velocities (J,) of the joints `names`."""
    none = np.zeros(0)
    return _encode(
        "sensor_msgs/msg/JointState",
        header=_header(stamp_ns, frame),
        name=list(names),
        position=np.ascontiguousarray(positions, np.float64),
        velocity=none if velocities is None else np.ascontiguousarray(velocities, np.float64),
        effort=none,
    )


def pose(
    position: NDArray[np.floating[Any]],
    quat_wxyz: NDArray[np.floating[Any]],
    *,
    frame: str,
    stamp_ns: int,
) -> RosMessage:
    """Encodes a stamped pose: position (3,) [m] and unit quaternion (4,) in `frame`."""
    w, x, y, z = map(float, quat_wxyz)
    orientation = _make("geometry_msgs/msg/Quaternion", x=x, y=y, z=z, w=w)
    return _encode(
        "geometry_msgs/msg/PoseStamped",
        header=_header(stamp_ns, frame),
        pose=_make(
            "geometry_msgs/msg/Pose",
            position=_make("geometry_msgs/msg/Point", **_xyz(position)),
            orientation=orientation,
        ),
    )


def twist(
    linear: NDArray[np.floating[Any]],
    angular: NDArray[np.floating[Any]],
    *,
    frame: str,
    stamp_ns: int,
) -> RosMessage:
    """Encodes a stamped twist: (3,) [m/s] and (3,) [rad/s] in `frame`."""
    vector = "geometry_msgs/msg/Vector3"
    return _encode(
        "geometry_msgs/msg/TwistStamped",
        header=_header(stamp_ns, frame),
        twist=_make(
            "geometry_msgs/msg/Twist",
            linear=_make(vector, **_xyz(linear)),
            angular=_make(vector, **_xyz(angular)),
        ),
    )


def joint_trajectory(
    names: Sequence[str], points: NDArray[np.floating[Any]], *, period_s: float
) -> RosMessage:
    """Encodes positions (n, J) that follow each other, the first a period from now."""
    none = np.zeros(0)
    encoded: list[Any] = []
    for number, point in enumerate(points):
        sec, nanosec = divmod(round((number + 1) * period_s * _NS_PER_S), _NS_PER_S)
        encoded.append(
            _make(
                "trajectory_msgs/msg/JointTrajectoryPoint",
                positions=np.ascontiguousarray(point, np.float64),
                velocities=none,
                accelerations=none,
                effort=none,
                time_from_start=_make("builtin_interfaces/msg/Duration", sec=sec, nanosec=nanosec),
            )
        )
    return _encode(
        "trajectory_msgs/msg/JointTrajectory",
        header=_header(0, ""),
        joint_names=list(names),
        points=encoded,
    )


def image(pixels: NDArray[np.uint8], *, stamp_ns: int, frame: str = "") -> RosMessage:
    """Encodes (h, w, 3) RGB as rgb8."""
    height, width, _ = pixels.shape
    return _encode(
        "sensor_msgs/msg/Image",
        header=_header(stamp_ns, frame),
        height=height,
        width=width,
        encoding="rgb8",
        is_bigendian=0,
        step=3 * width,
        data=np.ascontiguousarray(pixels).reshape(-1),
    )


def depth_image(pixels: NDArray[np.uint16], *, stamp_ns: int, frame: str = "") -> RosMessage:
    """Encodes (h, w, 1) depth as 16UC1, which by convention is in millimetres."""
    height, width, _ = pixels.shape
    return _encode(
        "sensor_msgs/msg/Image",
        header=_header(stamp_ns, frame),
        height=height,
        width=width,
        encoding="16UC1",
        is_bigendian=0,
        step=2 * width,
        data=np.ascontiguousarray(pixels, "<u2").reshape(-1).view(np.uint8),
    )


def named_array(values: NDArray[np.floating[Any]], names: Sequence[str] = ()) -> RosMessage:
    """Encodes a vector (D,); the names of its entries go into the label of its dimension."""
    size = len(values)
    label = ",".join(names)
    dimension = _make("std_msgs/msg/MultiArrayDimension", label=label, size=size, stride=size)
    return _encode(
        "std_msgs/msg/Float64MultiArray",
        layout=_make("std_msgs/msg/MultiArrayLayout", dim=[dimension], data_offset=0),
        data=np.ascontiguousarray(values, np.float64),
    )


def array(values: NDArray[np.floating[Any]], labels: Sequence[str]) -> RosMessage:
    """Encodes an array of any shape, row by row, one label per dimension."""
    strides = [int(np.prod(values.shape[axis:])) for axis in range(values.ndim)]
    dimensions = [
        _make("std_msgs/msg/MultiArrayDimension", label=label, size=size, stride=stride)
        for label, size, stride in zip(labels, values.shape, strides, strict=True)
    ]
    return _encode(
        "std_msgs/msg/Float64MultiArray",
        layout=_make("std_msgs/msg/MultiArrayLayout", dim=dimensions, data_offset=0),
        data=np.asarray(values, np.float64).reshape(-1),
    )


def exact_array(values: NDArray[Any]) -> RosMessage:
    """Encodes numbers of any type and shape, row by row, in the message that holds them exactly."""
    kind, item = _EXACT[values.dtype.kind], values.dtype.itemsize
    if values.dtype.kind in "ub" and item == 1:
        kind = "UInt8"
    strides = [int(np.prod(values.shape[axis:])) for axis in range(values.ndim)]
    dimensions = [
        _make("std_msgs/msg/MultiArrayDimension", label="", size=size, stride=stride)
        for size, stride in zip(values.shape, strides, strict=True)
    ]
    return _encode(
        f"std_msgs/msg/{kind}MultiArray",
        layout=_make("std_msgs/msg/MultiArrayLayout", dim=dimensions, data_offset=0),
        data=values.reshape(-1).astype(kind.lower()),
    )


_EXACT = {"f": "Float64", "i": "Int64", "u": "UInt64", "b": "UInt8"}


def number(value: float) -> RosMessage:
    """Encodes one number."""
    return _encode("std_msgs/msg/Float64", data=float(value))


def text(value: str) -> RosMessage:
    """Encodes a text, which may be JSON."""
    return _encode("std_msgs/msg/String", data=value)


def status(name: str, *, level: int, message: str, values: Mapping[str, str]) -> RosMessage:
    """Encodes a diagnostic status; `level` is 0 for OK, 1 for WARN, 2 for ERROR."""
    pairs = [_make("diagnostic_msgs/msg/KeyValue", key=k, value=v) for k, v in values.items()]
    return _encode(
        "diagnostic_msgs/msg/DiagnosticStatus",
        level=level,
        name=name,
        message=message,
        hardware_id="",
        values=pairs,
    )


def _header(stamp_ns: int, frame: str) -> Any:
    sec, nanosec = divmod(stamp_ns, _NS_PER_S)
    stamp = _make("builtin_interfaces/msg/Time", sec=sec, nanosec=nanosec)
    return _make("std_msgs/msg/Header", stamp=stamp, frame_id=frame)


def _xyz(vector: NDArray[np.floating[Any]]) -> dict[str, float]:
    return dict(zip("xyz", map(float, vector), strict=True))


def _make(message_type: str, **fields: Any) -> Any:
    return typestore().types[message_type](**fields)


def _encode(message_type: str, **fields: Any) -> RosMessage:
    message = _make(message_type, **fields)
    return RosMessage(message_type, bytes(typestore().serialize_cdr(message, message_type)))
