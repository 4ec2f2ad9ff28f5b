"""LeRobot dataset format v2.1: one parquet file and one MP4 per camera and episode."""

from pathlib import Path

from robot_policy.core.errors import DataError
from robot_policy.core.files import read_json
from robot_policy.data.formats import lerobot_v21_layout as layout
from robot_policy.data.formats.episode_format import EpisodeFormat
from robot_policy.data.formats.lerobot_contents import CONTENTS
from robot_policy.data.formats.lerobot_layout import INFO, refuses
from robot_policy.data.formats.lerobot_v21_reader import LeRobotV21Reader
from robot_policy.data.formats.lerobot_v21_writer import LeRobotV21Writer
from robot_policy.data.formats.recorded_format import RecordedFormat


def is_v21(path: Path) -> bool:
    """Whether a folder with a meta/info.json is of this version.

    Where info.json cannot be read, the files beside it tell.
    """
    if not (path / INFO).is_file():
        return False
    if (path / "meta/episodes").is_dir():
        return False
    if (path / layout.EPISODES).is_file():
        return True
    try:
        info = read_json(path / INFO)
    except DataError:
        return False
    return isinstance(info, dict) and info.get("codebase_version") in layout.READABLE


FORMAT: EpisodeFormat = RecordedFormat(
    contents=CONTENTS,
    detects=is_v21,
    opens=lambda path, _: LeRobotV21Reader(path),
    creates=LeRobotV21Writer.create,
    refuses=refuses,
    continues=LeRobotV21Writer.append,
)
