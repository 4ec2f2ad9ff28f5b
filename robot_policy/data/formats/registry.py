"""The dataset formats, by name and by what lies in a folder."""

from pathlib import Path

from robot_policy.core.errors import DataError
from robot_policy.core.registry import Registry
from robot_policy.data.formats.episode_format import EpisodeFormat

FORMATS = Registry("format", {"lerobot_v3": "robot_policy.data.formats.lerobot_v3:FORMAT"})


def detect_format(path: Path) -> EpisodeFormat:
    """Returns the format of the dataset at `path`.

    Raises:
        DataError: If nothing is there, or it is of no known format.
    """
    if not path.exists():
        raise DataError("no such dataset", where=path)
    for name in FORMATS:
        candidate: EpisodeFormat = FORMATS[name]
        if candidate.detect(path):
            return candidate
    raise DataError("not a dataset of a known format", where=path, valid=FORMATS)
