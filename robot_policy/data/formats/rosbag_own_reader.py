"""Reads bags that this project wrote from a dataset, to the bit."""

import json
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.episode import Success
from robot_policy.core.errors import DataError
from robot_policy.data.formats.rosbag_images import MessageFrames
from robot_policy.data.formats.rosbag_layout import (
    ABOUT,
    EPISODE,
    JSON,
    PREFIX,
    decode_values,
    topics,
)
from robot_policy.data.formats.rosbag_playback import robot_of
from robot_policy.data.recording import Description, Recording
from robot_policy.data.rosbag.bag import Bag
from robot_policy.data.rosbag.mcap_file import McapFile
from robot_policy.data.statistics import FeatureStatistics


class OwnRosbagReader:
    """The episodes of a bag, a file each; see `DatasetReader`.

    Args:
        bag: Whose metadata describe a dataset.

    Raises:
        DataError: If the description is damaged.
    """

    def __init__(self, bag: Bag) -> None:
        self._bag = bag
        try:
            self.description = Description.from_json(json.loads(bag.custom[ABOUT]))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(
                "not the description of a dataset", where=bag.path, got=repr(error)
            ) from error
        self._topics = topics(self.description, robot_of(self.description))
        self.left_out = [*bag.disagreements(), *self._unknown()]

    def __len__(self) -> int:
        """Number of episodes."""
        return len(self._bag.files)

    def recording(self, position: int) -> Recording:
        """See `DatasetReader.recording`."""
        file = self._bag.files[position]
        where = str(file.path)
        about = _about(file)
        length = about["length"]
        self._check_counts(file, length, where)
        part = Bag(file.path)
        return Recording(
            index=position,
            columns=self._columns(part, where),
            frames={
                key: MessageFrames(part, self._topics[key], feature, np.arange(length), None, None)
                for key, feature in self.description.images.items()
            },
            task=about["task"],
            success=about["success"],
            metadata=about["metadata"],
            where=where,
        )

    def statistics(self, position: int) -> Mapping[str, FeatureStatistics]:
        """None are in a bag."""
        return {}

    def _unknown(self) -> list[str]:
        """A line for every topic of features that the description lacks."""
        known = set(self._topics.values())
        return [
            f"{topic}: {count} messages that the description does not tell of"
            for topic, count in self._bag.counts.items()
            if topic.startswith(f"{PREFIX}/") and topic not in known
        ]

    def _check_counts(self, file: McapFile, length: int, where: str) -> None:
        for key in self.description.features:
            topic = self._topics[key]
            count = file.counts.get(topic, 0)
            if count != length:
                raise DataError(
                    "wrong number of messages",
                    where=f"{where}, {topic}",
                    expected=length,
                    got=count,
                )

    def _columns(self, part: Bag, where: str) -> dict[str, NDArray[Any]]:
        wanted = {self._topics[key]: key for key in self.description.columns}
        messages: dict[str, list[Any]] = defaultdict(list)
        for message in part.messages(wanted):
            messages[wanted[message.topic]].append(part.decode(message))
        return {
            key: decode_values(messages[key], feature, where=f"{where}, {self._topics[key]}")
            for key, feature in self.description.columns.items()
        }


def _about(file: McapFile) -> dict[str, Any]:
    texts = file.metadata(EPISODE)
    try:
        data = json.loads((texts or {})[JSON])
        length = data["length"]
        if not isinstance(length, int) or length < 1:
            raise ValueError(f"length {length!r}")
        return {
            "length": length,
            "task": str(data["task"]),
            "success": Success(data["success"]),
            "metadata": dict(data["metadata"]),
        }
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            "what is told of the episode is damaged", where=file.path, got=repr(error)
        ) from error


def describes_dataset(bag: Bag) -> bool:
    """Whether a bag was written from a dataset."""
    return ABOUT in bag.custom
