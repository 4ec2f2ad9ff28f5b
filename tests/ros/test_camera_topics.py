"""Images of all kinds, instructions and goals over real topics."""

import array
from dataclasses import replace
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow

pytest.importorskip("rclpy")
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import String

from robot_policy.core.specs import image_spec
from robot_policy_ros import conversions as convert
from robot_policy_ros.policy_node import PolicyNode
from robot_policy_ros.qos import COMMAND, SENSOR

pytestmark = pytest.mark.ros

SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE
RED = np.broadcast_to(np.array([200, 30, 10], np.uint8), (16, 24, 3)).copy()


def node_of(graph: Any, policy: Any, **values: Any) -> PolicyNode:
    settings = {"checkpoint": "handwritten", "max_age_s": 5.0, "execute_steps": 1, **values}
    overrides = [Parameter(k, value=v) for k, v in settings.items()]
    return graph.add(PolicyNode(load=lambda _: policy, parameter_overrides=overrides))


def see(policy: Any, *cameras: str) -> None:
    policy.spec = replace(policy.spec, cameras={name: image_spec(16, 24) for name in cameras})


def compressed(pixels: np.ndarray, *, stamp_ns: int) -> CompressedImage:
    stream = BytesIO()
    Pillow.fromarray(pixels).save(stream, "JPEG", quality=95)
    message = CompressedImage(format="rgb8; jpeg compressed bgr8")
    message.header.stamp = convert.stamp_from_ns(stamp_ns)
    message.data = array.array("B", stream.getvalue())
    return message


def drive(graph: Any, node: PolicyNode, policy: Any, *, plans: int = 3) -> Any:
    """Returns the windows of the last of some plans."""
    assert node.trigger_configure() == SUCCESS
    policy.windows.clear()
    assert node.trigger_activate() == SUCCESS
    graph.wait(lambda: len(policy.windows) >= plans)
    return policy.windows[-1]


def test_compressed_images_belong_to_their_moment(
    graph: Any, resting_arm: Any, policy: Any
) -> None:
    see(policy, "wrist")
    node = node_of(graph, policy, image_transport="compressed")
    publisher = resting_arm.node.create_publisher(
        CompressedImage, "wrist/image_raw/compressed", SENSOR
    )
    resting_arm.with_stamp.append(
        lambda stamp_ns: publisher.publish(compressed(RED, stamp_ns=stamp_ns))
    )
    windows = drive(graph, node, policy)
    assert windows.images["wrist"].shape == (1, 2, 16, 24, 3)
    assert np.abs(windows.images["wrist"].astype(int) - RED).max() < 8
    assert node.trigger_deactivate() == SUCCESS
    assert node.trigger_cleanup() == SUCCESS


def test_raw_images_with_alpha_and_padding(graph: Any, resting_arm: Any, policy: Any) -> None:
    see(policy, "wrist")
    node = node_of(graph, policy)
    publisher = resting_arm.node.create_publisher(Image, "wrist/image_raw", SENSOR)
    pixels = np.concatenate([RED, np.full((16, 24, 1), 255, np.uint8)], axis=2)
    rows = np.pad(pixels.reshape(16, 96), ((0, 0), (0, 32)))

    def send(stamp_ns: int) -> None:
        message = Image(height=16, width=24, encoding="rgba8", step=128)
        message.header.stamp = convert.stamp_from_ns(stamp_ns)
        message.data = array.array("B", rows.tobytes())
        publisher.publish(message)

    resting_arm.with_stamp.append(send)
    windows = drive(graph, node, policy)
    assert (windows.images["wrist"] == RED).all()


def test_a_picture_that_cannot_be_read_is_shown_as_the_problem(
    graph: Any, resting_arm: Any, policy: Any
) -> None:
    see(policy, "wrist")
    node = node_of(graph, policy, image_transport="compressed")
    publisher = resting_arm.node.create_publisher(
        CompressedImage, "wrist/image_raw/compressed", SENSOR
    )
    forms = ["jpeg", "16UC1; compressedDepth png"]

    def send(stamp_ns: int) -> None:
        message = CompressedImage(format=forms[0], data=array.array("B", b"no picture"))
        message.header.stamp = convert.stamp_from_ns(stamp_ns)
        publisher.publish(message)

    resting_arm.with_stamp.append(send)
    node.trigger_configure()
    node.trigger_activate()
    graph.wait(lambda: any("not a readable image" in s.message for s in resting_arm.statuses))
    forms.reverse()
    graph.wait(lambda: any("a depth image" in s.message for s in resting_arm.statuses))
    assert policy.windows == []


def test_the_instruction_may_come_from_a_topic(graph: Any, resting_arm: Any, policy: Any) -> None:
    policy.spec = replace(policy.spec, needs_instruction=True)
    node = node_of(graph, policy, instruction_topic="instruction")
    publisher = resting_arm.node.create_publisher(String, "instruction", COMMAND)
    assert node.trigger_configure() == SUCCESS
    policy.windows.clear()
    assert node.trigger_activate() == SUCCESS
    graph.wait(lambda: any("instruction: no text" in s.message for s in resting_arm.statuses))
    assert policy.windows == []
    graph.wait(lambda: publisher.get_subscription_count() == 1)
    for text in ("lift the cube", "put it down"):
        publisher.publish(String(data=f" {text} "))
        graph.wait(lambda text=text: policy.windows and policy.windows[-1].instructions == (text,))


def test_a_goal_image_stays_until_the_next(graph: Any, resting_arm: Any, policy: Any) -> None:
    see(policy, "goal")
    node = node_of(graph, policy, goal_image_topic="goal/compressed", max_age_s=0.3)
    publisher = resting_arm.node.create_publisher(CompressedImage, "goal/compressed", COMMAND)
    assert node.trigger_configure() == SUCCESS
    policy.windows.clear()
    assert node.trigger_activate() == SUCCESS
    graph.wait(lambda: publisher.get_subscription_count() == 1)
    publisher.publish(compressed(RED[:8], stamp_ns=0))
    graph.wait(lambda: any("goal: goal image on goal" in s.message for s in resting_arm.statuses))
    publisher.publish(compressed(RED, stamp_ns=0))
    graph.wait(lambda: len(policy.windows) >= 8)
    assert np.abs(policy.windows[-1].images["goal"].astype(int) - RED).max() < 8


@pytest.mark.parametrize(
    ("cameras", "settings", "line"),
    [
        ((), {"goal_image_topic": "goal"}, "the policy takes no goal image"),
        (("goal",), {}, "the policy takes a goal image"),
        ((), {"image_transport": "theora"}, "unknown transport 'theora'; valid: compressed, raw"),
        (("wrist",), {"max_ages": "agentview=0.1"}, "unknown input 'agentview'"),
    ],
)
def test_settings_that_do_not_fit_the_policy_are_refused(
    graph: Any,
    policy: Any,
    capfd: pytest.CaptureFixture[str],
    cameras: tuple[str, ...],
    settings: dict[str, str],
    line: str,
) -> None:
    see(policy, *cameras)
    node = node_of(graph, policy, **settings)
    assert node.trigger_configure() == FAILURE
    errors = [text for text in capfd.readouterr().err.splitlines() if "cannot configure" in text]
    assert len(errors) == 1
    assert line in errors[0]
