"""What lies in a LeRobot dataset although its description does not tell of it, and the reverse."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from robot_policy.core.errors import DataError
from robot_policy.data.formats.lerobot_layout import BOOKKEEPING, INFO
from robot_policy.data.formats.lerobot_reader import StoredEpisode
from robot_policy.data.formats.parquet import naming


def disagreements(
    info: Mapping[str, Any],
    lengths: Mapping[int, int],
    *,
    first: Callable[[], StoredEpisode] | None,
    video_folders: Iterable[Path],
) -> list[str]:
    """Returns a line for everything that recordings will lack though it may have been there.

    Args:
        info: Content of info.json.
        lengths: Number of every episode to its frames.
        first: Says where the first episode lies, None where there is none.
        video_folders: Named after cameras.
    """
    lines: list[str] = []
    told, there = info.get("total_frames"), sum(lengths.values())
    # Where numbers are missing, episodes were taken out, and the others say which they are.
    in_a_row = list(lengths) == list(range(len(lengths)))
    if isinstance(told, int) and told > there and in_a_row:
        lines.append(f"{told - there} of the {told} frames that {INFO} tells of")
    known = {*info["features"], *BOOKKEEPING}
    lines += [
        f"{name}: a column that {INFO} does not tell of"
        for name in _columns(first)
        if name not in known
    ]
    cameras = {folder.name for folder in video_folders if folder.is_dir()}
    return lines + [
        f"{camera}: videos that {INFO} does not tell of" for camera in sorted(cameras - known)
    ]


def _columns(first: Callable[[], StoredEpisode] | None) -> list[str]:
    if first is None:
        return []
    try:
        data = first().data
        with naming(data):
            return pq.read_schema(data).names
    except DataError:
        return []  # is told when the episode is read
