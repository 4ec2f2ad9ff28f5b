"""Mends bags: the counts of their metadata; episodes are left out of bags of this project only."""

import shutil
from pathlib import Path
from typing import Any

import yaml

from robot_policy.core.errors import ConfigError
from robot_policy.core.files import new_folder
from robot_policy.data.formats.registry import FORMATS
from robot_policy.data.formats.rosbag_own_reader import describes_dataset
from robot_policy.data.formats.source_options import SourceOptions
from robot_policy.data.rosbag.bag import Bag
from robot_policy.data.rosbag.bag_metadata import METADATA
from robot_policy.data.rosbag.mcap_file import McapFile
from robot_policy.data.validation.checks.bag_counts import bags


def mend_bag(
    path: Path, output: Path, options: SourceOptions, dropped: set[int]
) -> tuple[int, list[str]]:
    """Writes a copy without the dropped episodes.

    Returns:
        Number of episodes, and lines that tell what else changed.

    Raises:
        ConfigError: If episodes are to be left out of the bag of a robot, or none is left.
        DataError: If the bag is damaged.
    """
    if not bags(path):
        raise ConfigError("a single file has no metadata to mend", where=path)
    dataset_format = FORMATS["rosbag2_mcap"]
    reader = dataset_format.open(path, options)
    if not dropped:
        with new_folder(output) as folder:
            shutil.copytree(path, folder)
            for bag in bags(folder):
                _recount(bag)
        return len(reader), []
    if len(bags(path)) > 1 or not describes_dataset(Bag(path)) or options.robot:
        raise ConfigError(
            "a robot's bag is one stream, from which no episode is left out",
            where=path,
            hint="`data convert` it, and mend the result",
        )
    kept = [position for position in range(len(reader)) if position not in dropped]
    if not kept:
        raise ConfigError("no episode is left", where=path)
    with new_folder(output) as folder:
        writer = dataset_format.create(folder, reader.description)
        for position in kept:
            writer.add(reader.recording(position))
        writer.close()
    return len(kept), []


def _recount(folder: Path) -> None:
    """Corrects the counts in metadata.yaml; everything else in it stays."""
    path = folder / METADATA
    data = yaml.safe_load(path.read_text(encoding="utf-8"))
    about: dict[str, Any] = data["rosbag2_bagfile_information"]
    files = [McapFile(folder / name) for name in about["relative_file_paths"]]
    counts = Bag(folder).counts
    for topic in about["topics_with_message_count"]:
        topic["message_count"] = counts.get(topic["topic_metadata"]["name"], 0)
    about["message_count"] = sum(counts.values())
    for entry, file in zip(about.get("files") or (), files, strict=False):
        entry["message_count"] = file.entry().message_count
    path.write_text(yaml.safe_dump(data, sort_keys=False, allow_unicode=True), encoding="utf-8")
