"""The dataset formats, by name and by what lies in a folder."""

from pathlib import Path

from robot_policy.core.errors import DataError
from robot_policy.core.registry import Registry
from robot_policy.data.formats.episode_format import EpisodeFormat

FORMATS = Registry(
    "format",
    {
        "lerobot_v3": "robot_policy.data.formats.lerobot_v3:FORMAT",
        "lerobot_v21": "robot_policy.data.formats.lerobot_v21:FORMAT",
        "robomimic_hdf5": "robot_policy.data.formats.robomimic_hdf5:FORMAT",
        "rosbag2_mcap": "robot_policy.data.formats.rosbag2_mcap:FORMAT",
    },
)


_READ_ONLY = Registry("format", {"view": "robot_policy.data.curation.view_format:FORMAT"})
"""What is read like a format and cannot be written as one."""


def detect_format(path: Path) -> EpisodeFormat:
    """Returns the format of the dataset at `path`.

    Raises:
        DataError: If nothing is there, or it is of no known format.
    """
    return find_format(path)[1]


def find_format(path: Path) -> tuple[str, EpisodeFormat]:
    """Returns name and format of the dataset at `path`.

    Raises:
        DataError: If nothing is there, or it is of no known format.
    """
    if not path.exists():
        raise DataError("no such dataset", where=path)
    for registry in (_READ_ONLY, FORMATS):
        for name in registry:
            candidate: EpisodeFormat = registry[name]
            if candidate.detect(path):
                return name, candidate
    valid = [*FORMATS, *_READ_ONLY]
    raise DataError("not a dataset of a known format", where=path, valid=valid)
