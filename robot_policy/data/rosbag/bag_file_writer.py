"""Writes one MCAP file of a bag."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from mcap.well_known import MessageEncoding, SchemaEncoding
from mcap.writer import CompressionType, Writer

from robot_policy.core.errors import DataError
from robot_policy.data.ros_messages import RosMessage, check_type, typestore
from robot_policy.data.rosbag.bag_metadata import BagFile, type_hash

_CHUNK_BYTES = 4 * 1024 * 1024


class BagFileWriter:
    """One MCAP file, open for writing.

    Use it in a ``with`` block, or call `close`. A file that was not closed has no index; its
    messages can be recovered.

    Args:
        path: Is overwritten.
        compress: Whether chunks are compressed (zstd). Camera images hardly get smaller by it.
    """

    def __init__(self, path: Path, *, compress: bool = True) -> None:
        self._path = path
        self._stream = path.open("wb")
        self._writer = Writer(
            self._stream,
            chunk_size=_CHUNK_BYTES,
            compression=CompressionType.ZSTD if compress else CompressionType.NONE,
        )
        self._writer.start(profile="ros2", library="robot-policy")
        self._schemas: dict[str, int] = {}
        self._channels: dict[str, int] = {}
        self._types: dict[str, str] = {}
        self._counts: Counter[str] = Counter()
        self._start_ns: int | None = None
        self._end_ns = 0

    def write(self, topic: str, message: RosMessage, *, stamp_ns: int) -> None:
        """Appends a message.

        Args:
            topic: Where it was published.
            message: Of the same type as all others of `topic`.
            stamp_ns: When it was received [ns].

        Raises:
            UnknownNameError: If the type is not a standard one.
            DataError: If another type was written to the topic before.
        """
        if topic not in self._channels:
            self._add_topic(topic, message.type)
        if self._types[topic] != message.type:
            raise DataError(
                "another message type", where=topic, expected=self._types[topic], got=message.type
            )
        self._writer.add_message(
            self._channels[topic],
            log_time=stamp_ns,
            data=message.data,
            publish_time=stamp_ns,
            sequence=self._counts[topic],
        )
        self._counts[topic] += 1
        self._start_ns = stamp_ns if self._start_ns is None else min(self._start_ns, stamp_ns)
        self._end_ns = max(self._end_ns, stamp_ns)

    def add_metadata(self, name: str, data: Mapping[str, str]) -> None:
        """Adds texts that belong to the file as a whole."""
        self._writer.add_metadata(name, dict(data))

    def close(self) -> BagFile:
        """Writes the index and closes the file.

        Returns:
            Its entry in the metadata of the bag.
        """
        if not self._stream.closed:
            self._writer.finish()
            self._stream.close()
        return BagFile(
            path=self._path.name,
            start_ns=self._start_ns or 0,
            end_ns=self._end_ns,
            counts=dict(self._counts),
            types=dict(self._types),
        )

    def _add_topic(self, topic: str, message_type: str) -> None:
        check_type(message_type)
        if message_type not in self._schemas:
            text, _ = typestore().generate_msgdef(message_type, ros_version=2)
            self._schemas[message_type] = self._writer.register_schema(
                message_type, SchemaEncoding.ROS2, text.encode()
            )
        self._types[topic] = message_type
        self._channels[topic] = self._writer.register_channel(
            topic,
            MessageEncoding.CDR,
            self._schemas[message_type],
            metadata={"offered_qos_profiles": "[]", "topic_type_hash": type_hash(message_type)},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
