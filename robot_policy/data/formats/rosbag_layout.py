"""Where our features are in a bag: every one on a topic of its own, to the bit.

Beside them a bag of ours holds what a robot would have published, so that it can be played to a
policy; see `rosbag_playback`.
"""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.errors import DataError
from robot_policy.core.observation import IMAGES
from robot_policy.core.robot import RobotDescription
from robot_policy.data import ros_messages
from robot_policy.data.recording import STRING, Description, Feature
from robot_policy.data.ros_messages import RosMessage

ABOUT = "robot_policy"
"""Entry of custom_data with the description of the dataset."""
EPISODE = "robot_policy.episode"
"""Metadata record of a file with what is told of its episode."""
JSON = "json"

PREFIX = "/dataset"
"""Of the topics of features that are no images."""


def topics(description: Description, robot: RobotDescription | None) -> dict[str, str]:
    """Feature to topic.

    Args:
        description: Of the dataset.
        robot: Gives the topics of cameras; without it they are called after the camera.
    """
    found: dict[str, str] = {}
    for key, feature in description.features.items():
        name = _camera_topic(key, robot) if feature.is_image else _topic(key)
        while name in found.values():
            name += "_"
        found[key] = name
    return found


def _topic(key: str) -> str:
    words = [re.sub(r"\W", "_", word) for word in re.split(r"[./]", key)]
    # A name in ROS does not begin with a digit.
    return "/".join([PREFIX, *(word if word[:1].isalpha() else f"_{word}" for word in words)])


def _camera_topic(key: str, robot: RobotDescription | None) -> str:
    camera = key.removeprefix(f"{IMAGES}.")
    if robot is not None and camera in robot.cameras:
        return absolute(robot.cameras[camera].image_topic)
    return f"{_topic(camera).removeprefix(PREFIX)}/image_raw"


def absolute(topic: str) -> str:
    """Name of a topic as bags have it."""
    return topic if topic.startswith("/") else f"/{topic}"


def encode_value(value: NDArray[Any]) -> RosMessage:
    """Encodes one frame of a feature that is no image."""
    if value.dtype == object:
        return ros_messages.text(str(value.reshape(-1)[0]))
    return ros_messages.exact_array(value)


def decode_values(messages: list[Any], feature: Feature, *, where: str) -> NDArray[Any]:
    """Inverse of `encode_value` for all frames of an episode.

    Args:
        messages: T decoded messages.
        feature: What they hold.
        where: File and topic, named in the error.

    Returns:
        (T, *shape).

    Raises:
        DataError: If one is not such a feature.
    """
    if feature.dtype == STRING:
        texts = [getattr(message, "data", None) for message in messages]
        if not all(isinstance(text, str) for text in texts):
            raise DataError("not a text", where=where)
        return np.array(texts, dtype=object).reshape(len(texts), 1)
    size = int(np.prod(feature.shape))
    arrays: list[NDArray[Any]] = []
    for message in messages:
        data = np.asarray(getattr(message, "data", ()))
        if data.shape != (size,) or data.dtype.kind not in "biuf":
            raise DataError("not such a feature", where=where, expected=size, got=data.shape)
        arrays.append(data)
    together = np.stack(arrays).astype(feature.numpy_dtype)
    return together.reshape(len(messages), *feature.shape)


def stamps_for_playing(
    stamps: NDArray[np.int64] | None, length: int, *, rate_hz: float, after_ns: int
) -> NDArray[np.int64]:
    """Times [ns] at which the frames of an episode are played: the capture times, or later.

    Args:
        stamps: (T,) capture times [ns]; None where they are not known.
        length: T.
        rate_hz: Frames per second, for where they are not.
        after_ns: End of the episode before; this one begins later.
    """
    if stamps is None or not _playable(stamps):
        stamps = np.round(np.arange(length) * (1e9 / rate_hz)).astype(np.int64)
    if stamps[0] > after_ns:
        return stamps
    return stamps - stamps[0] + after_ns + _PAUSE_NS


_PAUSE_NS = 2_000_000_000
_LATEST_NS = (2**31 - 1) * 1_000_000_000


def _playable(stamps: NDArray[np.int64]) -> bool:
    return bool(stamps[0] >= 0 and stamps[-1] < _LATEST_NS and (np.diff(stamps) > 0).all())


def notes_of(custom: Mapping[str, str]) -> Mapping[str, str]:
    """What whoever recorded a bag noted about it, without what is ours."""
    return {key: text for key, text in custom.items() if key != ABOUT}
