"""Messages out of the chunks of an MCAP file, in the order of their log times.

The mcap library does the same and makes an object of every record, a field at a time; bags of small
messages are mostly that. Chunks are found by its index and decompressed and checked by it.
"""

import math
import struct
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import BinaryIO

from mcap.data_stream import ReadDataStream
from mcap.opcode import Opcode
from mcap.records import Chunk, ChunkIndex
from mcap.stream_reader import get_chunk_data_stream

RECORD_HEAD = struct.Struct("<BQ")  # code and length
_MESSAGE_HEAD = struct.Struct("<HIQQ")  # channel, sequence, log time and publish time [ns]

type Found = tuple[int, int, int, int, bytes]
"""Log time [ns], where the chunk lies in the file, place in it, channel, and content."""


def chunk_messages(
    stream: BinaryIO,
    chunks: Sequence[ChunkIndex],
    channels: Mapping[int, str],
    *,
    topics: Collection[str],
    start_ns: int | None = None,
    end_ns: int | None = None,
) -> Iterator[tuple[str, int, bytes]]:
    """Yields topic, log time [ns] and content of messages.

    Only chunks whose times overlap are held in memory together.

    Args:
        stream: The file.
        chunks: Its chunks.
        channels: Numbers of all channels, with their topics.
        topics: Those that are wanted.
        start_ns: From this log time on.
        end_ns: Up to and including this one.

    Raises:
        ValueError: If a chunk is damaged; so may the decompressors, with errors of their own.
    """
    first = -math.inf if start_ns is None else start_ns
    last = math.inf if end_ns is None else end_ns
    numbers = {number for number, topic in channels.items() if topic in topics}
    wanted = [chunk for chunk in chunks if _may_hold(chunk, numbers, first, last)]
    wanted.sort(key=lambda chunk: (chunk.message_start_time, chunk.chunk_start_offset))
    pending: list[Found] = []
    for number, chunk in enumerate(wanted):
        pending += (
            found
            for found in _messages(stream, chunk, channels)
            if found[3] in numbers and first <= found[0] <= last
        )
        pending.sort(key=_order)
        following = wanted[number + 1 :]
        before = following[0].message_start_time if following else math.inf
        ready = 0
        while ready < len(pending) and pending[ready][0] < before:
            ready += 1
        for log_ns, _, _, channel, data in pending[:ready]:
            yield channels[channel], log_ns, data
        del pending[:ready]


def _may_hold(chunk: ChunkIndex, numbers: set[int], first: float, last: float) -> bool:
    offsets = chunk.message_index_offsets  # empty where no such index was written
    there = not offsets or not offsets.keys().isdisjoint(numbers)
    return there and chunk.message_end_time >= first and chunk.message_start_time <= last


def _order(found: Found) -> tuple[int, int, int]:
    return found[:3]


def _messages(stream: BinaryIO, index: ChunkIndex, channels: Mapping[int, str]) -> Iterator[Found]:
    stream.seek(index.chunk_start_offset + RECORD_HEAD.size)
    chunk = Chunk.read(ReadDataStream(stream))
    opened, size = get_chunk_data_stream(chunk, validate_crc=True)
    records = opened.read(size)
    at = number = 0
    while at < size:
        code, length = RECORD_HEAD.unpack_from(records, at)
        at += RECORD_HEAD.size
        if at + length > size:
            raise ValueError("a record goes beyond the end of its chunk")
        if code == Opcode.MESSAGE:
            channel, _, log_ns, _ = _MESSAGE_HEAD.unpack_from(records, at)
            if channel not in channels:
                raise ValueError(f"a message of channel {channel}, which there is not")
            data = records[at + _MESSAGE_HEAD.size : at + length]
            yield log_ns, index.chunk_start_offset, number, channel, data
        at += length
        number += 1
