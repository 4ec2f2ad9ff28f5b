"""Opens a dataset that may be damaged, and says what stands in the way."""

from pathlib import Path

from robot_policy.core.errors import DataError
from robot_policy.core.robot import RobotDescription, load_robot, robot_names
from robot_policy.data.formats.episode_format import DatasetReader, EpisodeFormat
from robot_policy.data.formats.source_options import SourceOptions
from robot_policy.data.validation.checks.bag_counts import BAG, missing_files
from robot_policy.data.validation.finding import Fault, Finding, Place, Severity
from robot_policy.data.validation.lenient_lerobot import LEROBOT, open_lenient

DATASET = Fault(
    "dataset-unreadable",
    Severity.ERROR,
    "the dataset cannot be opened",
    "bring back the file that is named; `data validate --recover` reads bags that were cut off",
)


def open_for_checking(
    path: Path, name: str, dataset_format: EpisodeFormat, options: SourceOptions
) -> tuple[DatasetReader | None, list[Finding]]:
    """Opens a dataset, with its counts as they should be where they can be counted.

    Args:
        path: Dataset.
        name: Of its format.
        dataset_format: Likewise.
        options: What the dataset itself does not say.

    Returns:
        The dataset, None if it cannot be opened, and what is wrong then.

    Raises:
        ConfigError: If an option is missing or wrong.
    """
    missing = list(missing_files(path)) if name in BAG else []
    try:
        if name in LEROBOT:
            return open_lenient(path, name), []
        return dataset_format.open(path, options), []
    except DataError as error:
        return None, missing or [Finding(DATASET, Place(), str(error))]


def robot_of(reader: DatasetReader, name: str) -> RobotDescription | None:
    """Description of the robot of a dataset.

    Args:
        reader: The dataset.
        name: Name or path of a description, empty for the one that the dataset names.

    Raises:
        UnknownNameError: If a name was given and there is no such robot.
    """
    if name:
        return load_robot(name)
    told = reader.description.robot
    # What a dataset says is looked up among the known names only, and not taken for a path.
    return load_robot(told) if told in robot_names() else None
