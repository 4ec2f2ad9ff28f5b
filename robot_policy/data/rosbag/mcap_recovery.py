"""Finds again what is in an MCAP file whose recording was cut off before its index was written."""

import io
from collections import defaultdict
from pathlib import Path

from mcap.data_stream import ReadDataStream
from mcap.opcode import Opcode
from mcap.records import Channel, Chunk, ChunkIndex, Message, MessageIndex, Schema, Statistics
from mcap.stream_reader import breakup_chunk, read_magic
from mcap.summary import Summary

from robot_policy.core.errors import DataError

_HEAD_BYTES = 9  # code and length of a record


def recover_summary(path: Path) -> Summary:
    """Returns the summary that the file would have, of all chunks that are there whole.

    Args:
        path: File of any length.

    Raises:
        DataError: If not a single chunk is whole.
    """
    summary = Summary()
    counts: dict[int, int] = defaultdict(int)
    size = path.stat().st_size
    with path.open("rb") as stream:
        read_magic(ReadDataStream(stream))
        while (start := stream.tell()) + _HEAD_BYTES <= size:
            head = ReadDataStream(io.BytesIO(stream.read(_HEAD_BYTES)))
            opcode, length = head.read1(), head.read8()
            if start + _HEAD_BYTES + length > size:
                break
            body = ReadDataStream(io.BytesIO(stream.read(length)))
            if opcode == Opcode.CHUNK:
                if not _take_chunk(body, start, length, summary, counts):
                    break
            elif opcode == Opcode.MESSAGE_INDEX and summary.chunk_indexes:
                index = MessageIndex.read(body)
                summary.chunk_indexes[-1].message_index_offsets[index.channel_id] = start
    if not summary.chunk_indexes:
        raise DataError("nothing can be recovered", where=path)
    summary.statistics = Statistics(
        attachment_count=0,
        channel_count=len(summary.channels),
        channel_message_counts=dict(counts),
        chunk_count=len(summary.chunk_indexes),
        message_count=sum(counts.values()),
        message_end_time=max(c.message_end_time for c in summary.chunk_indexes),
        message_start_time=min(c.message_start_time for c in summary.chunk_indexes),
        metadata_count=0,
        schema_count=len(summary.schemas),
    )
    return summary


def _take_chunk(
    body: ReadDataStream, start: int, length: int, summary: Summary, counts: dict[int, int]
) -> bool:
    """Adds a chunk; false if it is damaged, after which nothing can be trusted."""
    chunk = Chunk.read(body)
    try:
        records = breakup_chunk(chunk, validate_crc=True)
    except Exception:  # of the decompressors, and the check of the sum
        return False
    for record in records:
        if isinstance(record, Schema):
            summary.schemas[record.id] = record
        elif isinstance(record, Channel):
            summary.channels[record.id] = record
        elif isinstance(record, Message):
            counts[record.channel_id] += 1
    summary.chunk_indexes.append(
        ChunkIndex(
            chunk_length=_HEAD_BYTES + length,
            chunk_start_offset=start,
            compression=chunk.compression,
            compressed_size=len(chunk.data),
            message_end_time=chunk.message_end_time,
            message_index_length=0,
            message_index_offsets={},
            message_start_time=chunk.message_start_time,
            uncompressed_size=chunk.uncompressed_size,
        )
    )
    return True
