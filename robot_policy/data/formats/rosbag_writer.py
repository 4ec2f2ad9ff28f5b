"""Writes datasets as bags, one committed file per episode."""

import json
import re
import shutil
from pathlib import Path

from robot_policy.core.errors import DataError
from robot_policy.data import ros_messages
from robot_policy.data.formats.recording_check import check_recording
from robot_policy.data.formats.rosbag_layout import (
    ABOUT,
    EPISODE,
    JSON,
    encode_value,
    stamps_for_playing,
    topics,
)
from robot_policy.data.formats.rosbag_playback import Playback, robot_of
from robot_policy.data.recording import STAMP, Description, Recording
from robot_policy.data.rosbag.bag import Bag
from robot_policy.data.rosbag.bag_file_writer import BagFileWriter
from robot_policy.data.rosbag.bag_metadata import BagFile, write_bag_metadata

_STAGING = ".partial"
_NAME = "episode_{:06d}.mcap"


class RosbagWriter:
    """Adds episodes to a bag; see `DatasetWriter`. Use `create` or `append`.

    metadata.yaml, which says which files there are, is replaced last.

    Args:
        root: Folder of the bag.
        description: What every episode holds.
        files: Committed so far.
    """

    def __init__(self, root: Path, description: Description, files: list[BagFile]) -> None:
        robot = robot_of(description)
        self._root = root
        self._description = description
        self._topics = topics(description, robot)
        self._playback = Playback(description, robot)
        self._files = files

    @classmethod
    def create(cls, root: Path, description: Description) -> "RosbagWriter":
        """Starts a bag in a folder that is new or empty."""
        root.mkdir(parents=True, exist_ok=True)
        writer = cls(root, description, [])
        writer._write_metadata([])
        return writer

    @classmethod
    def append(cls, root: Path, description: Description) -> "RosbagWriter":
        """Goes on with a bag; removes what an interrupted writer left.

        Raises:
            DataError: If it is damaged or was not written by this project.
        """
        bag = Bag(root)
        if ABOUT not in bag.custom:
            raise DataError("cannot append to a bag of somebody else", where=root)
        writer = cls(root, description, [file.entry() for file in bag.files])
        writer.close()
        return writer

    @property
    def episodes(self) -> int:
        """Episodes that are safe on disk."""
        return len(self._files)

    def add(self, recording: Recording) -> None:
        """Writes an episode; it is part of the bag when this returns.

        Raises:
            SpecError: If it does not fit the description.
            DataError: If a value is not finite, or an image cannot be read.
        """
        check_recording(recording, self._description)
        name = _NAME.format(len(self._files))
        staged = self._root / _STAGING / name
        staged.parent.mkdir(exist_ok=True)
        with BagFileWriter(staged) as file:
            self._write(file, recording)
            entry = file.close()
        staged.replace(self._root / name)
        files = [*self._files, entry]
        self._write_metadata(files)
        self._files = files

    def close(self) -> None:
        """Removes what is not part of the bag."""
        shutil.rmtree(self._root / _STAGING, ignore_errors=True)
        for temporary in self._root.glob(".metadata.yaml.*"):
            temporary.unlink()
        committed = {file.path for file in self._files}
        for path in self._root.glob("*.mcap"):
            if re.fullmatch(r"episode_\d+\.mcap", path.name) and path.name not in committed:
                path.unlink()

    def _write(self, file: BagFileWriter, recording: Recording) -> None:
        length = len(recording)
        capture = recording.columns.get(STAMP)
        stamps = stamps_for_playing(
            None if capture is None else capture[:, 0],
            length,
            rate_hz=self._description.rate_hz,
            after_ns=max((entry.end_ns for entry in self._files), default=0),
        ).tolist()
        period_ns = round(1e9 / self._description.rate_hz)
        images = {key: iter(recording.frames[key]) for key in self._description.images}
        for step, stamp_ns in enumerate(stamps):
            for key, frames in images.items():
                encode = ros_messages.image
                if self._description.features[key].is_depth:
                    encode = ros_messages.depth_image
                message = encode(next(frames), stamp_ns=stamp_ns)
                file.write(self._topics[key], message, stamp_ns=stamp_ns)
            values = {key: recording.columns[key][step] for key in self._description.columns}
            for key, value in values.items():
                file.write(self._topics[key], encode_value(value), stamp_ns=stamp_ns)
            for topic, message in self._playback.sensors(values, stamp_ns=stamp_ns):
                file.write(topic, message, stamp_ns=stamp_ns)
            # A command follows what is seen, and comes before the next thing that is.
            until_ns = stamps[step + 1] if step + 1 < length else stamp_ns + period_ns
            sent_ns = stamp_ns + max(1, (until_ns - stamp_ns) // 4)
            for topic, message in self._playback.commands(values, stamp_ns=sent_ns):
                file.write(topic, message, stamp_ns=sent_ns)
        about = {
            "length": length,
            "task": recording.task,
            "success": recording.success.value,
            "metadata": dict(recording.metadata),
        }
        file.add_metadata(EPISODE, {JSON: json.dumps(about, allow_nan=False)})

    def _write_metadata(self, files: list[BagFile]) -> None:
        about = json.dumps(self._description.to_json())
        write_bag_metadata(self._root, files, custom={ABOUT: about})
