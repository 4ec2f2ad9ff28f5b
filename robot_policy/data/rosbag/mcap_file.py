"""Reads one MCAP file of a bag by its index."""

import os
import struct
import zlib
from collections.abc import Collection, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from mcap.data_stream import ReadDataStream
from mcap.reader import NonSeekingReader, SeekingReader
from mcap.records import MessageIndex, Schema
from mcap.summary import Summary
from numpy.typing import NDArray

from robot_policy.core.errors import DataError, RobotPolicyError
from robot_policy.data.rosbag.bag_metadata import BagFile
from robot_policy.data.rosbag.mcap_chunks import RECORD_HEAD, chunk_messages
from robot_policy.data.rosbag.mcap_recovery import recover_summary

_LARGEST_RECORD_BYTES = 1 << 31
_HEADER_BYTES = 12  # CDR's own four, seconds, nanoseconds
_FOOTER = struct.Struct("<BQQQI")  # code, length, starts of index and of its parts, check sum
_SUM_BYTES = 4
_RECOVER = "--recover reads what is whole"
_MAGIC = b"\x89MCAP0\r\n"


@dataclass(frozen=True, slots=True)
class RawMessage:
    """A message as it stands in the file.

    Attributes:
        topic: Where it was published.
        log_ns: When it was received [ns].
        data: CDR.
    """

    topic: str
    log_ns: int
    data: bytes

    @property
    def header_stamp_ns(self) -> int:
        """Stamp [ns] of the header that the message begins with; the rest is not decoded.

        Raises:
            DataError: If there are too few bytes for one.
        """
        if len(self.data) < _HEADER_BYTES:
            raise DataError(
                "a message shorter than its header",
                where=self.topic,
                got=f"{len(self.data)} bytes",
            )
        order = "<" if self.data[1] & 1 else ">"
        seconds, nanoseconds = struct.unpack_from(f"{order}iI", self.data, 4)
        return seconds * 1_000_000_000 + nanoseconds


class McapFile:
    """One MCAP file.

    Args:
        path: File.
        recover: Whether a file that was cut off is read as far as it goes.

    Raises:
        DataError: If it is missing, damaged, or was cut off and `recover` is false.
    """

    def __init__(self, path: Path, *, recover: bool = False) -> None:
        self.path = path
        self.recovered = False
        """Whether the file was cut off."""
        with _naming(path):
            self._summary = self._read_summary(recover)

    @property
    def start_ns(self) -> int:
        """Log time of the first message [ns], 0 if there is none."""
        statistics = self._summary.statistics
        return statistics.message_start_time if statistics else 0

    @property
    def end_ns(self) -> int:
        """Log time of the last message [ns]."""
        statistics = self._summary.statistics
        return statistics.message_end_time if statistics else 0

    @cached_property
    def schemas(self) -> Mapping[str, Schema]:
        """Topic to the schema of its messages."""
        schemas, channels = self._summary.schemas, self._summary.channels
        return {c.topic: schemas[c.schema_id] for c in channels.values() if c.schema_id in schemas}

    @cached_property
    def counts(self) -> Mapping[str, int]:
        """Topic to number of messages."""
        counts = {channel.topic: 0 for channel in self._summary.channels.values()}
        statistics = self._summary.statistics
        for number, count in (statistics.channel_message_counts if statistics else {}).items():
            if number in self._summary.channels:
                counts[self._summary.channels[number].topic] += count
        return counts

    def entry(self) -> BagFile:
        """Returns what the metadata of a bag says about this file."""
        types = {topic: schema.name for topic, schema in self.schemas.items()}
        return BagFile(self.path.name, self.start_ns, self.end_ns, self.counts, types)

    def log_times(self, topic: str) -> NDArray[np.int64]:
        """Log times [ns] of a topic's messages in order; out of the index, where there is one."""
        numbers = {c.id for c in self._summary.channels.values() if c.topic == topic}
        times: list[int] = []
        chunks = self._summary.chunk_indexes
        if not chunks or not all(chunk.message_index_offsets for chunk in chunks):
            times = [message.log_ns for message in self.messages([topic])]
            return np.sort(np.array(times, dtype=np.int64))
        with _naming(self.path), self.path.open("rb") as stream:
            for chunk in chunks:
                for number in numbers & chunk.message_index_offsets.keys():
                    stream.seek(chunk.message_index_offsets[number] + RECORD_HEAD.size)
                    index = MessageIndex.read(ReadDataStream(stream))
                    times += [time for time, _ in index.records]
        told = self.counts.get(topic, 0)
        if self._summary.statistics and len(times) != told:  # no sum is kept of this index
            raise DataError(
                "the index of messages is damaged",
                where=f"{self.path}, {topic}",
                expected=f"{told} messages",
                got=len(times),
                hint=_RECOVER,
            )
        return np.sort(np.array(times, dtype=np.int64))

    def messages(
        self, topics: Collection[str], *, start_ns: int | None = None, end_ns: int | None = None
    ) -> Iterator[RawMessage]:
        """Yields messages, in the order of their log times unless the file is not in chunks.

        Args:
            topics: Which.
            start_ns: From this log time on [ns].
            end_ns: Up to and including this one.

        Raises:
            DataError: If the file is damaged.
        """
        summary = self._summary
        with _naming(self.path), self.path.open("rb") as stream:
            if summary.chunk_indexes:
                for topic, log_ns, data in chunk_messages(
                    stream,
                    summary.chunk_indexes,
                    {channel.id: channel.topic for channel in summary.channels.values()},
                    topics=topics,
                    start_ns=start_ns,
                    end_ns=end_ns,
                ):
                    yield RawMessage(topic, log_ns, data)
                return
            reader = NonSeekingReader(
                stream, validate_crcs=True, record_size_limit=_LARGEST_RECORD_BYTES
            )
            for _, channel, message in reader.iter_messages(
                topics=list(topics),
                starting_at=start_ns,
                ending_at=end_ns,
                # In the order of time, the library would hold all messages in memory.
                log_time_order=False,
            ):
                yield RawMessage(channel.topic, message.log_time, message.data)

    def metadata(self, name: str) -> dict[str, str] | None:
        """Returns the texts stored as `name`, None if there are none."""
        with _naming(self.path), self.path.open("rb") as stream:
            reader = SeekingReader(stream)
            reader._summary = self._summary
            for record in reader.iter_metadata():
                if record.name == name:
                    return dict(record.metadata)
        return None

    def _read_summary(self, recover: bool) -> Summary:
        try:
            return _summary(self.path)
        except DataError:
            if not recover:
                raise
        self.recovered = True
        return recover_summary(self.path)


def _summary(path: Path) -> Summary:
    """The index at the end of a file."""
    with path.open("rb") as stream:
        reader = SeekingReader(stream, record_size_limit=_LARGEST_RECORD_BYTES)
        try:
            summary = reader.get_summary()
        except Exception as error:
            raise DataError(
                "not a whole MCAP file: the recording was cut off, or it is damaged",
                where=path,
                got=str(error) or type(error).__name__,
                hint=_RECOVER,
            ) from error
    if summary is None or not (summary.chunk_indexes or summary.statistics):
        raise DataError("the file has no index", where=path, hint=_RECOVER)
    _check_sum(path)
    _check_chunks(summary, path)
    return summary


def _check_sum(path: Path) -> None:
    """Refuses an index whose check sum, which the library does not look at, is wrong."""
    with path.open("rb") as stream:
        stream.seek(-_FOOTER.size - len(_MAGIC), os.SEEK_END)
        _, _, start, _, told = _FOOTER.unpack(stream.read(_FOOTER.size))
        end = stream.tell() - _SUM_BYTES
        if not told or not 0 < start < end:  # writers may leave either out
            return
        stream.seek(start)
        if zlib.crc32(stream.read(end - start)) != told:
            raise DataError("the index is damaged", where=path, hint=_RECOVER)


def _check_chunks(summary: Summary, path: Path) -> None:
    """Refuses an index that lacks chunks, or points outside the file, before it is followed."""
    chunks, told = summary.chunk_indexes, summary.statistics
    if told is not None and told.chunk_count > len(chunks):
        raise DataError(
            "the index lacks chunks", where=path, expected=told.chunk_count, got=len(chunks)
        )
    size = path.stat().st_size
    for chunk in chunks:
        if chunk.chunk_start_offset + chunk.chunk_length > size:
            raise DataError("the index points beyond the end of the file", where=path)
        if chunk.uncompressed_size > _LARGEST_RECORD_BYTES:
            raise DataError(
                "a chunk is too large",
                where=path,
                expected=f"at most {_LARGEST_RECORD_BYTES} bytes",
                got=chunk.uncompressed_size,
            )


@contextmanager
def _naming(path: Path) -> Generator[None]:
    """Turns whatever reading a damaged file raises into an error that names the file."""
    try:
        yield
    except RobotPolicyError:
        raise
    except FileNotFoundError as error:
        raise DataError("no such file", where=path) from error
    except Exception as error:  # the library promises no kind of error for damaged files
        raise DataError(
            "not a readable MCAP file", where=path, got=str(error) or type(error).__name__
        ) from error
