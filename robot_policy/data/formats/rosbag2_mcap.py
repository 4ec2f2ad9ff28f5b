"""Bags of ROS 2, stored as MCAP."""

from pathlib import Path

from robot_policy.data.formats.contents import Content, Contents, Keeping, Kept
from robot_policy.data.formats.episode_format import DatasetReader, EpisodeFormat
from robot_policy.data.formats.recorded_format import RecordedFormat
from robot_policy.data.formats.rosbag_own_reader import OwnRosbagReader, describes_dataset
from robot_policy.data.formats.rosbag_reader import RosbagReader
from robot_policy.data.formats.rosbag_writer import RosbagWriter
from robot_policy.data.formats.source_options import SourceOptions
from robot_policy.data.rosbag.bag import Bag, is_bag

_TOPIC = Kept(Keeping.OURS, "/dataset/…, beside the robot's own topics")

CONTENTS: Contents = {
    Content.VECTORS: Kept(Keeping.KEPT, "/dataset/…; also as the robot would publish them"),
    Content.NAMES: Kept(Keeping.OURS, "custom_data"),
    Content.ARRAYS: _TOPIC,
    Content.TEXTS: _TOPIC,
    Content.TASKS: Kept(Keeping.OURS, "a metadata record"),
    Content.CHANGING_TASK: _TOPIC,
    Content.REWARDS: _TOPIC,
    Content.SUCCESS: Kept(Keeping.OURS, "a metadata record"),
    Content.STAMPS: Kept(Keeping.KEPT, "stamps and log times"),
    Content.SPEC: Kept(Keeping.OURS, "custom_data"),
    Content.METADATA: Kept(Keeping.OURS, "a metadata record"),
    Content.DATASET_METADATA: Kept(Keeping.OURS, "custom_data"),
    Content.COLOUR: Kept(Keeping.KEPT, "rgb8"),
    Content.CODING: Kept(Keeping.LOST, "images are decoded"),
    Content.DEPTH: Kept(Keeping.KEPT, "16UC1"),
    Content.IMAGE_STATISTICS: Kept(Keeping.LOST, "computed again where they are needed"),
}


def _detect(path: Path) -> bool:
    """Whether it is a bag, or a folder of bags as the recorder leaves them."""
    return is_bag(path) or bool(_bags_in(path))


def _bags_in(path: Path) -> list[Path]:
    if not path.is_dir():
        return []
    return sorted(child for child in path.iterdir() if child.is_dir() and is_bag(child))


def _open(path: Path, options: SourceOptions) -> DatasetReader:
    if is_bag(path):
        bag = Bag(path, recover=options.recover)
        # A robot is named to have the bag read as any robot's, from its topics.
        if describes_dataset(bag) and not options.robot:
            return OwnRosbagReader(bag)
        return RosbagReader(path, [bag], options)
    bags = [Bag(child, recover=options.recover) for child in _bags_in(path)]
    return RosbagReader(path, bags or [Bag(path)], options)


FORMAT: EpisodeFormat = RecordedFormat(
    contents=CONTENTS,
    detects=_detect,
    opens=_open,
    creates=RosbagWriter.create,
    continues=RosbagWriter.append,
)
