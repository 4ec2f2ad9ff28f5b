"""What a bag of a robot holds: its topics, and the features that they become."""

from collections.abc import Mapping
from dataclasses import replace

from robot_policy.core.errors import DataError
from robot_policy.core.observation import ACTION, ENVIRONMENT_STATE, STATE, image_key
from robot_policy.core.robot import GripperInterface, RobotDescription
from robot_policy.core.specs import ArraySpec, PolicySpec
from robot_policy.data.formats.rosbag_episodes import find_topic, require_topic
from robot_policy.data.formats.rosbag_images import image_feature, pixels_of
from robot_policy.data.formats.rosbag_streams import Topics
from robot_policy.data.recording import STAMP, Description, Feature
from robot_policy.data.rosbag.bag import Bag
from robot_policy.data.rosbag.mcap_file import RawMessage


def describe(bag: Bag, topics: Topics, robot: RobotDescription) -> Description:
    """Returns the description of the dataset that a bag becomes.

    Raises:
        DataError: If the first image of a camera is damaged.
    """
    features = {
        STATE: Feature("float32", robot.state_spec.shape, robot.state_spec.names),
        ACTION: Feature("float32", robot.action_spec.shape, robot.action_spec.names),
    }
    privileged: ArraySpec | None = None
    if topics.environment is not None:
        privileged = _privileged(bag, topics.environment)
        features[ENVIRONMENT_STATE] = Feature("float32", privileged.shape, privileged.names)
    for key, topic in topics.images.items():
        features[key] = _first_image(bag, topic)
    features[STAMP] = Feature("int64", (1,))
    colour = tuple(camera for camera in robot.cameras if image_key(camera) in topics.images)
    spec = robot.spec(environment_state=privileged, cameras=colour)
    return Description(robot.name, robot.rate_hz, features, spec=_with_sizes(spec, features))


def find_topics(bag: Bag, robot: RobotDescription) -> Topics:
    """Finds the topics of a robot; cameras, privileged state and gripper commands may be missing.

    Raises:
        DataError: If another one is missing, or there are several of one.
    """
    joints = require_topic(bag, robot.joint_states_topic)
    images: dict[str, str] = {}
    for camera, about in robot.cameras.items():
        for name in (about.image_topic, f"{about.image_topic}/compressed"):
            topic = find_topic(bag, name)
            if topic is not None and bag.counts.get(topic, 0):
                images.setdefault(image_key(camera), topic)
    environment = robot.environment_state_topic
    environment = None if environment is None else find_topic(bag, environment)
    return Topics(
        joints=joints,
        pose=None if robot.ee_pose_topic is None else require_topic(bag, robot.ee_pose_topic),
        environment=environment if environment and bag.counts.get(environment, 0) else None,
        motion=require_topic(bag, robot.command.topic),
        gripper=_gripper_topic(bag, robot),
        images=images,
    )


def _gripper_topic(bag: Bag, robot: RobotDescription) -> str | None:
    if robot.command.gripper_interface is GripperInterface.WITH_ARM:
        return None
    return find_topic(bag, robot.command.gripper_topic)


def _privileged(bag: Bag, topic: str) -> ArraySpec:
    message = bag.decode(_first(bag, topic))
    size = len(message.data)
    dimensions = message.layout.dim
    names = tuple(str(dimensions[0].label).split(",")) if dimensions else ()
    return ArraySpec((size,), names=names if len(names) == size else ())


def _first_image(bag: Bag, topic: str) -> Feature:
    message = bag.decode(_first(bag, topic))
    return image_feature(pixels_of(message, where=f"{bag.path}, {topic}"))


def _first(bag: Bag, topic: str) -> RawMessage:
    message = next(bag.messages([topic]), None)
    if message is None:
        raise DataError("no message, though it is said to hold some", where=f"{bag.path}, {topic}")
    return message


def _with_sizes(spec: PolicySpec, features: Mapping[str, Feature]) -> PolicySpec:
    """The spec with cameras as they are in the bag; those that deliver depth are left out."""
    cameras = {
        camera: ArraySpec(features[image_key(camera)].shape, dtype="uint8")
        for camera in spec.cameras
        if not features[image_key(camera)].is_depth
    }
    return replace(spec, cameras=cameras)
