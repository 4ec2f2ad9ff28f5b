"""Where LeRobot v2.1 keeps what: one data file and one video per camera and episode."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from robot_policy.core.errors import DataError
from robot_policy.data.formats import lerobot_layout
from robot_policy.data.recording import Description

VERSION = "v2.1"
READABLE = (VERSION, "v2.0")
EPISODES_PER_CHUNK = 1000
EPISODES = "meta/episodes.jsonl"
TASKS = "meta/tasks.jsonl"
STATISTICS = "meta/episodes_stats.jsonl"

DATA_PATH = "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet"
VIDEO_PATH = "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4"


def place(index: int, *, chunk_size: int = EPISODES_PER_CHUNK) -> dict[str, int]:
    """Chunk and number of an episode."""
    return {"episode_chunk": index // chunk_size, "episode_index": index}


def info_json(
    description: Description, *, episodes: int, frames: int, tasks: int
) -> dict[str, Any]:
    """Content of info.json."""
    others: Mapping[str, Any] = description.metadata.get("info", {})
    videos = sum(map(lerobot_layout.is_video, description.features.values()))
    return {
        "codebase_version": VERSION,
        "robot_type": description.robot,
        "total_episodes": episodes,
        "total_frames": frames,
        "total_tasks": tasks,
        "total_videos": videos * episodes,
        "total_chunks": -(-episodes // EPISODES_PER_CHUNK),
        "chunks_size": EPISODES_PER_CHUNK,
        "fps": lerobot_layout.whole_rate(description.rate_hz),
        "splits": {"train": f"0:{episodes}"},
        "data_path": DATA_PATH,
        "video_path": VIDEO_PATH if videos else None,
        "features": lerobot_layout.features_json(description),
    } | dict(others)


def read_info(root: Path) -> dict[str, Any]:
    """Reads info.json, see `lerobot_layout.read_info`."""
    return lerobot_layout.read_info(root, versions=READABLE)


def read_lines(path: Path, *, count: int) -> list[dict[str, Any]]:
    """Reads the first `count` lines of a file with one JSON object a line.

    Raises:
        DataError: If the file is missing, has fewer lines, or one is damaged.
    """
    lines: list[dict[str, Any]] = []
    try:
        with path.open(encoding="utf-8") as stream:
            for number, text in enumerate(stream):
                if len(lines) == count:
                    break
                if not text.strip():
                    continue
                line = json.loads(text)
                if not isinstance(line, dict):
                    raise DataError("not an object", where=f"{path}, line {number + 1}")
                lines.append(line)
    except FileNotFoundError as error:
        raise DataError("no such file", where=path) from error
    except (ValueError, OSError, RecursionError) as error:
        where = f"{path}, line {len(lines) + 1}"
        raise DataError("not a line of JSON", where=where, got=error) from error
    if len(lines) < count:
        raise DataError("lines are missing", where=path, expected=f"{count} lines", got=len(lines))
    return lines


def read_episodes(root: Path, info: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Returns one line of episodes.jsonl per committed episode; numbers may be missing.

    Raises:
        DataError: If lines are missing, damaged or not in order.
    """
    path = root / EPISODES
    lines = read_lines(path, count=info["total_episodes"])
    previous = -1
    for number, line in enumerate(lines):
        where = f"{path}, line {number + 1}"
        for key in ("episode_index", "length"):
            if not isinstance(line.get(key), int) or line[key] < 0:
                raise DataError(f"{key} is not a number", where=where, got=line.get(key))
        if line["episode_index"] <= previous:
            raise DataError(
                "the episodes are not in order",
                where=where,
                expected=f"more than {previous}",
                got=line["episode_index"],
            )
        previous = line["episode_index"]
    return lines


def read_tasks(root: Path, info: Mapping[str, Any]) -> list[str]:
    """Returns the instruction texts by task index.

    Raises:
        DataError: If the file is missing or damaged, or an index is missing.
    """
    path = root / TASKS
    count = info.get("total_tasks")
    if not isinstance(count, int) or count < 0:
        raise DataError("total_tasks is not a number", where=root / lerobot_layout.INFO, got=count)
    lines = read_lines(path, count=count)
    by_index = {line.get("task_index"): line.get("task") for line in lines}
    if set(by_index) != set(range(count)) or not all(isinstance(t, str) for t in by_index.values()):
        raise DataError("not a list of tasks", where=path, got=sorted(map(str, by_index)))
    return [str(by_index[index]) for index in range(count)]
