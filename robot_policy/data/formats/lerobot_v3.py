"""LeRobot dataset format v3.0: parquet, MP4 and JSON, without needing lerobot."""

from pathlib import Path

from robot_policy.data.formats.episode_format import EpisodeFormat
from robot_policy.data.formats.lerobot_contents import CONTENTS
from robot_policy.data.formats.lerobot_layout import INFO, refuses
from robot_policy.data.formats.lerobot_v3_reader import LeRobotV3Reader
from robot_policy.data.formats.lerobot_v3_writer import LeRobotV3Writer
from robot_policy.data.formats.lerobot_v21 import is_v21
from robot_policy.data.formats.recorded_format import RecordedFormat


def _detect(path: Path) -> bool:
    """Whether there is a meta/info.json, and it is not of an older version."""
    return (path / INFO).is_file() and not is_v21(path)


FORMAT: EpisodeFormat = RecordedFormat(
    contents=CONTENTS,
    detects=_detect,
    opens=lambda path, _: LeRobotV3Reader(path),
    creates=LeRobotV3Writer.create,
    refuses=refuses,
    continues=LeRobotV3Writer.append,
)
