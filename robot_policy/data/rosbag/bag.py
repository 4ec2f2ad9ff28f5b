"""Reads a bag: a rosbag2 folder of MCAP files, or one such file."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.errors import DataError
from robot_policy.data.ros_messages import RosMessage, decode
from robot_policy.data.rosbag.bag_metadata import METADATA, read_bag_metadata
from robot_policy.data.rosbag.mcap_file import McapFile, RawMessage

MCAP_MAGIC = b"\x89MCAP0\r\n"


def is_bag(path: Path) -> bool:
    """Whether `path` looks like a bag; reads next to nothing."""
    if path.is_file():
        return _is_mcap(path)
    return (path / METADATA).is_file() or any(_is_mcap(p) for p in path.glob("*.mcap"))


class Bag:
    """A bag, open for reading.

    Args:
        path: Folder or file.
        recover: Whether files that were cut off are read as far as they go.

    Raises:
        DataError: If it is missing or damaged, or is not stored as MCAP.
    """

    def __init__(self, path: Path, *, recover: bool = False) -> None:
        self.path = path
        self.custom: Mapping[str, str] = {}
        """Free texts of metadata.yaml."""
        self._told: Mapping[str, int] = {}
        self.files = [McapFile(file, recover=recover) for file in self._paths(recover)]

    @cached_property
    def types(self) -> dict[str, str]:
        """Topic to message type."""
        return {t: schema.name for file in self.files for t, schema in file.schemas.items()}

    @cached_property
    def counts(self) -> dict[str, int]:
        """Topic to number of messages."""
        counts: Counter[str] = Counter()
        for file in self.files:
            counts.update(file.counts)
        return dict(counts)

    def disagreements(self) -> list[str]:
        """Returns a line for everything that metadata.yaml tells of otherwise than the files do."""
        if not self._told:
            return []
        lines = [
            f"{topic}: {told - self.counts.get(topic, 0)} of the {told} messages that {METADATA} "
            "tells of"
            for topic, told in self._told.items()
            if told > self.counts.get(topic, 0)
        ]
        known = {file.path.name for file in self.files}
        others = (path.name for path in sorted(self.path.glob("*.mcap")))
        return lines + [
            f"{name}: {METADATA} does not tell of it" for name in others if name not in known
        ]

    def log_times(self, topic: str) -> NDArray[np.int64]:
        """Log times [ns] of a topic's messages, in order."""
        times = [file.log_times(topic) for file in self.files]
        return np.sort(np.concatenate([np.empty(0, np.int64), *times]))

    def messages(
        self, topics: Collection[str], *, start_ns: int | None = None, end_ns: int | None = None
    ) -> Iterator[RawMessage]:
        """Yields messages file by file, within a file in the order of their log times.

        Args:
            topics: Which.
            start_ns: From this log time on [ns].
            end_ns: Up to and including this one.

        Raises:
            DataError: If a file is damaged.
        """
        for file in self.files:
            if start_ns is not None and file.end_ns < start_ns:
                continue
            if end_ns is not None and file.start_ns > end_ns:
                continue
            yield from file.messages(topics, start_ns=start_ns, end_ns=end_ns)

    def decode(self, message: RawMessage) -> Any:
        """Returns a message as an object with the fields of its definition.

        Raises:
            UnknownNameError: If its type is not a standard one.
            DataError: If the bytes are not such a message.
        """
        try:
            return decode(RosMessage(self.types[message.topic], message.data))
        except DataError as error:
            raise DataError("damaged", where=f"{self.path}, {message.topic}", got=error) from error

    def _paths(self, recover: bool) -> list[Path]:
        if self.path.is_file():
            return [self.path]
        there = sorted(self.path.glob("*.mcap"))
        if not (self.path / METADATA).exists():
            if not there:
                raise DataError("no such bag", where=self.path)
            if not recover:
                raise DataError(
                    f"the bag has no {METADATA}; the recording was cut off",
                    where=self.path,
                    hint="--recover reads what is whole",
                )
            return there
        metadata = read_bag_metadata(self.path)
        if metadata.storage != "mcap" or metadata.compression:
            raise DataError(
                "only bags stored as MCAP, not compressed as a whole, are read",
                where=self.path / METADATA,
                got=f"{metadata.storage} {metadata.compression}".strip(),
                hint="`ros2 bag convert` changes that",
            )
        self.custom, self._told = metadata.custom, metadata.counts
        return [self._inside(name) for name in metadata.files]

    def _inside(self, name: str) -> Path:
        path = (self.path / name).resolve()
        if not path.is_relative_to(self.path.resolve()):
            raise DataError("a file outside the bag", where=self.path / METADATA, got=name)
        return path


def _is_mcap(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            return stream.read(len(MCAP_MAGIC)) == MCAP_MAGIC
    except OSError:
        return False
