"""Where LeRobot v3.0 keeps what."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from robot_policy.data.formats import lerobot_layout
from robot_policy.data.recording import Description

VERSION = "v3.0"
FILES_PER_CHUNK = 1000
STATS = "meta/stats.json"
TASKS = "meta/tasks.parquet"

DATA_PATH = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
VIDEO_PATH = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
EPISODES_PATH = "meta/episodes/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"


def place(index: int) -> dict[str, int]:
    """Chunk and file number of the `index`-th file."""
    chunk, file = divmod(index, FILES_PER_CHUNK)
    return {"chunk_index": chunk, "file_index": file}


def info_json(
    description: Description, *, episodes: int, frames: int, tasks: int
) -> dict[str, Any]:
    """Content of info.json."""
    others: Mapping[str, Any] = description.metadata.get("info", {})
    videos = any(map(lerobot_layout.is_video, description.features.values()))
    return {
        "codebase_version": VERSION,
        "robot_type": description.robot,
        "total_episodes": episodes,
        "total_frames": frames,
        "total_tasks": tasks,
        "chunks_size": FILES_PER_CHUNK,
        "data_files_size_in_mb": 100,
        "video_files_size_in_mb": 200,
        "fps": lerobot_layout.whole_rate(description.rate_hz),
        "splits": {"train": f"0:{episodes}"},
        "data_path": DATA_PATH,
        "video_path": VIDEO_PATH if videos else None,
        "features": lerobot_layout.features_json(description),
    } | dict(others)


def read_info(root: Path) -> dict[str, Any]:
    """Reads info.json, see `lerobot_layout.read_info`."""
    return lerobot_layout.read_info(root, versions=[VERSION])
