"""Messages survive the way there and back."""

import array

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

pytest.importorskip("rclpy")
from sensor_msgs.msg import Image

from robot_policy.core.errors import SpecError
from robot_policy.core.geometry import matrix_from_rotvec
from robot_policy_ros import conversions as convert

pytestmark = pytest.mark.ros

FRAME = "panda_link0"
finite = st.floats(-10, 10, allow_nan=False, width=64)
images = st.tuples(st.integers(1, 6), st.integers(1, 6)).flatmap(
    lambda size: arrays(np.uint8, (*size, 3))
)


@given(st.integers(0, 2**31 * 10**9 - 1))
def test_stamps(ns: int) -> None:
    assert convert.ns_from_stamp(convert.stamp_from_ns(ns)) == ns


@given(arrays(np.float64, 4, elements=finite), st.permutations(range(4)))
def test_joints_are_found_by_name(positions: np.ndarray, order: list[int]) -> None:
    names = [f"joint{i}" for i in range(4)]
    message = convert.joint_state_message(
        [names[i] for i in order], positions[order], velocities=np.zeros(4), stamp_ns=1
    )
    assert np.array_equal(convert.positions_by_name(message, names), positions)


def test_a_missing_or_double_joint_is_refused() -> None:
    zeros = np.zeros(2)
    message = convert.joint_state_message(["a", "b"], zeros, velocities=zeros, stamp_ns=0)
    with pytest.raises(SpecError, match=r"'c' is missing.*valid: a, b"):
        convert.positions_by_name(message, ["a", "c"])
    message.name = ["a", "a"]
    with pytest.raises(SpecError, match="'a' occurs twice"):
        convert.positions_by_name(message, ["a"])
    message.name = ["a", "b", "c"]
    with pytest.raises(SpecError, match="expected 3 positions; got 2"):
        convert.positions_by_name(message, ["a"])


@given(arrays(np.float64, 3, elements=finite), arrays(np.float64, 3, elements=finite))
def test_poses(position: np.ndarray, rotvec: np.ndarray) -> None:
    R = matrix_from_rotvec(rotvec)
    message = convert.pose_message(position, R, frame=FRAME, stamp_ns=5)
    back, back_R = convert.position_and_rotation(message, frame=FRAME)
    assert np.array_equal(back, position)
    assert np.allclose(back_R, R, atol=1e-9)


def test_a_pose_in_another_frame_or_without_rotation_is_refused() -> None:
    message = convert.pose_message(np.zeros(3), np.eye(3), frame="world", stamp_ns=0)
    with pytest.raises(SpecError, match="expected panda_link0; got world"):
        convert.position_and_rotation(message, frame=FRAME)
    message.pose.orientation.w = float("nan")
    with pytest.raises(SpecError, match="unit quaternion"):
        convert.position_and_rotation(message, frame="world")


@given(arrays(np.float64, 6, elements=finite), st.floats(0.001, 1))
def test_twists(delta: np.ndarray, dt_s: float) -> None:
    message = convert.twist_message(delta, dt_s=dt_s, frame=FRAME, stamp_ns=0)
    assert np.allclose(convert.delta_from_twist(message, dt_s=dt_s, frame=FRAME), delta)


def test_a_twist_is_a_velocity() -> None:
    message = convert.twist_message(np.full(6, 0.05), dt_s=0.05, frame=FRAME, stamp_ns=0)
    assert message.twist.linear.x == pytest.approx(1.0)
    assert message.twist.angular.z == pytest.approx(1.0)


def test_a_twist_that_is_not_finite_is_refused() -> None:
    message = convert.twist_message(np.full(6, np.nan), dt_s=0.05, frame=FRAME, stamp_ns=0)
    with pytest.raises(SpecError, match="not finite"):
        convert.delta_from_twist(message, dt_s=0.05, frame=FRAME)


@given(images, st.sampled_from(["rgb8", "bgr8"]), st.integers(0, 5))
def test_images(image: np.ndarray, encoding: str, padding: int) -> None:
    message = convert.image_message(image, frame="camera", stamp_ns=0)
    if encoding == "bgr8":
        message = convert.image_message(image[..., ::-1], frame="camera", stamp_ns=0)
        message.encoding = encoding
    rows = np.asarray(message.data).reshape(message.height, message.step)
    padded = np.pad(rows, ((0, 0), (0, padding)), constant_values=7)
    message.step += padding
    message.data = array.array("B", padded.astype(np.uint8).tobytes())
    back = convert.image_from_message(message)
    assert np.array_equal(back, image)
    assert back.flags.writeable


@given(images, st.integers(0, 5))
def test_images_with_alpha_and_grey_ones(image: np.ndarray, padding: int) -> None:
    alpha = np.full((*image.shape[:2], 1), 9, np.uint8)
    for encoding, pixels, expected in (
        ("rgba8", np.concatenate([image, alpha], axis=2), image),
        ("bgra8", np.concatenate([image[..., ::-1], alpha], axis=2), image),
        ("mono8", image[..., :1], image[..., :1].repeat(3, axis=2)),
    ):
        height, width, depth = pixels.shape
        rows = np.pad(pixels.reshape(height, width * depth), ((0, 0), (0, padding)))
        message = Image(height=height, width=width, encoding=encoding, step=rows.shape[1])
        message.data = array.array("B", rows.tobytes())
        assert np.array_equal(convert.image_from_message(message), expected)


def test_images_of_another_encoding_or_length_are_refused() -> None:
    message = convert.image_message(np.zeros((2, 3, 3), np.uint8), frame="camera", stamp_ns=0)
    message.height = 3
    with pytest.raises(SpecError, match="too short"):
        convert.image_from_message(message)
    message.encoding = "16UC1"
    with pytest.raises(SpecError, match="valid: rgb8, bgr8, rgba8"):
        convert.image_from_message(message)


@given(arrays(np.float64, 3, elements=finite))
def test_named_arrays(values: np.ndarray) -> None:
    names = ("x", "y", "z")
    message = convert.named_array_message(values, names)
    assert np.array_equal(convert.named_array(message, names), values)
    with pytest.raises(SpecError, match="expected 3: x,z,y; got 3: x,y,z"):
        convert.named_array(message, ("x", "z", "y"))


def test_finger_positions() -> None:
    assert convert.finger_position(convert.finger_message(0.04)) == 0.04
    with pytest.raises(SpecError, match="finger position"):
        convert.finger_position(convert.finger_message(float("nan")))


def test_camera_info_holds_the_intrinsics() -> None:
    K = np.array([[100.0, 0, 42], [0, 101, 43], [0, 0, 1]])
    message = convert.camera_info_message(K, height=84, width=86, frame="camera", stamp_ns=0)
    assert np.array_equal(np.reshape(message.k, (3, 3)), K)
    assert np.array_equal(np.reshape(message.p, (3, 4))[:, :3], K)
    assert (message.height, message.width) == (84, 86)
