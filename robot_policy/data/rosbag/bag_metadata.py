"""metadata.yaml of a rosbag2 folder: which files there are and what they hold."""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from robot_policy.core.errors import DataError
from robot_policy.core.files import replacing
from robot_policy.data.ros_messages import typestore

METADATA = "metadata.yaml"
_VERSION = 9  # what ROS 2 Jazzy writes
_DISTRO = "jazzy"


@dataclass(frozen=True, slots=True)
class BagFile:
    """One file of a bag.

    Attributes:
        path: Relative to the folder of the bag.
        start_ns: Log time of the first message [ns].
        end_ns: Of the last one.
        counts: Topic to number of messages.
        types: Topic to message type.
    """

    path: str
    start_ns: int
    end_ns: int
    counts: Mapping[str, int]
    types: Mapping[str, str]

    @property
    def message_count(self) -> int:
        """Messages of all topics."""
        return sum(self.counts.values())


@dataclass(frozen=True, slots=True)
class BagMetadata:
    """What metadata.yaml says.

    Attributes:
        files: Relative paths, in order.
        counts: Topic to number of messages in all files.
        types: Topic to message type.
        storage: Storage plugin, ``"mcap"``.
        compression: Compression of whole files or messages by rosbag2, empty where there is none.
        custom: Free text by name.
    """

    files: tuple[str, ...]
    counts: Mapping[str, int]
    types: Mapping[str, str]
    storage: str
    compression: str
    custom: Mapping[str, str] = field(default_factory=dict[str, str])


def write_bag_metadata(
    folder: Path, files: Sequence[BagFile], *, custom: Mapping[str, str] | None = None
) -> None:
    """Writes metadata.yaml so that `ros2 bag` and its players find the files.

    Args:
        folder: Of the bag.
        files: In order.
        custom: Free text by name, kept for whoever knows it.
    """
    counts: Counter[str] = Counter()
    types: dict[str, str] = {}
    for file in files:
        counts.update(file.counts)
        types |= file.types
    start = min((file.start_ns for file in files), default=0)
    # Written by hand: yaml would take seconds for a thousand files, and this is written anew
    # whenever a file has been added. JSON strings are YAML strings.
    lines = [
        "rosbag2_bagfile_information:",
        f"  version: {_VERSION}",
        "  storage_identifier: mcap",
        *_times(start, max((file.end_ns for file in files), default=0), indent="  "),
        f"  message_count: {sum(counts.values())}",
        f"  topics_with_message_count:{'' if types else ' []'}",
        *(line for topic in sorted(types) for line in _topic(topic, types[topic], counts[topic])),
        '  compression_format: ""',
        '  compression_mode: ""',
        f"  relative_file_paths:{'' if files else ' []'}",
        *(f"    - {_quoted(file.path)}" for file in files),
        f"  files:{'' if files else ' []'}",
    ]
    for file in files:
        lines += [
            f"    - path: {_quoted(file.path)}",
            *_times(file.start_ns, file.end_ns, indent="      "),
            f"      message_count: {file.message_count}",
        ]
    lines.append("  custom_data:" if custom else "  custom_data: ~")
    lines += [f"    {_quoted(key)}: {_quoted(text)}" for key, text in (custom or {}).items()]
    lines.append(f"  ros_distro: {_DISTRO}")
    with replacing(folder / METADATA) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _quoted(text: str) -> str:
    """A text as YAML: as JSON has it, but what YAML does not print is escaped, too."""
    plain = json.dumps(text, ensure_ascii=False)
    return _NOT_PRINTED.sub(lambda match: f"\\u{ord(match.group()):04x}", plain)


_NOT_PRINTED = re.compile("[\x7f-\x84\x86-\x9f\ud800-\udfff\ufeff\ufffe\uffff]")


def _times(start_ns: int, end_ns: int, *, indent: str) -> list[str]:
    return [
        f"{indent}duration:",
        f"{indent}  nanoseconds: {end_ns - start_ns}",
        f"{indent}starting_time:",
        f"{indent}  nanoseconds_since_epoch: {start_ns}",
    ]


def _topic(topic: str, message_type: str, count: int) -> list[str]:
    return [
        "    - topic_metadata:",
        f"        name: {_quoted(topic)}",
        f"        type: {message_type}",
        "        serialization_format: cdr",
        "        offered_qos_profiles: []",
        f"        type_description_hash: {type_hash(message_type)}",
        f"      message_count: {count}",
    ]


@cache
def type_hash(message_type: str) -> str:
    """Returns the hash by which ROS 2 tells versions of a message apart (REP 2016)."""
    return typestore().hash_rihs01(message_type)


def read_bag_metadata(folder: Path) -> BagMetadata:
    """Reads metadata.yaml of any version of rosbag2.

    Raises:
        DataError: If it is missing, damaged or lacks what is needed.
    """
    path = folder / METADATA
    try:
        # Everything is a text here; a note that says yes would be a truth value otherwise.
        data = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CBaseLoader)
    except FileNotFoundError as error:
        raise DataError("no such file", where=path) from error
    except (yaml.YAMLError, ValueError, OSError) as error:
        raise DataError("not a readable YAML file", where=path, got=error) from error
    try:
        return _parse(data["rosbag2_bagfile_information"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError("not the metadata of a bag", where=path, got=repr(error)) from error


def _parse(data: Mapping[str, Any]) -> BagMetadata:
    topics = data["topics_with_message_count"] or []
    custom = data.get("custom_data")
    metadata = [topic["topic_metadata"] for topic in topics]
    return BagMetadata(
        files=tuple(str(name) for name in data["relative_file_paths"]),
        counts={m["name"]: int(t["message_count"]) for m, t in zip(metadata, topics, strict=True)},
        types={m["name"]: str(m["type"]) for m in metadata},
        storage=str(data["storage_identifier"]),
        compression=str(data.get("compression_mode") or ""),
        custom=dict(custom) if isinstance(custom, dict) else {},
    )
