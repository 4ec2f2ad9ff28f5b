"""What a check is: it is shown a dataset once, in order, and says what is wrong."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from numpy.typing import NDArray

from robot_policy.core.robot import RobotDescription
from robot_policy.data.formats.episode_format import DatasetReader
from robot_policy.data.recording import Description, Recording
from robot_policy.data.statistics import FeatureStatistics
from robot_policy.data.validation.finding import Fault, Finding


@dataclass(frozen=True, slots=True)
class Subject:
    """The dataset that is checked.

    Attributes:
        path: Where it is.
        format: Name of its format.
        reader: The dataset, open.
        robot: Description of its robot, if one is found.
    """

    path: Path
    format: str
    reader: DatasetReader
    robot: RobotDescription | None = None

    @property
    def description(self) -> Description:
        """What it holds."""
        return self.reader.description

    def inside(self, file: Path) -> str:
        """Name of a file of the dataset, for a place."""
        try:
            return file.relative_to(self.path).as_posix()
        except ValueError:
            return str(file)


class Check:
    """One check of one dataset; what it remembers must not grow with the dataset.

    Subclasses say which faults they find and override what they need.

    Args:
        subject: Dataset.
    """

    faults: ClassVar[tuple[Fault, ...]]
    formats: ClassVar[frozenset[str] | None] = None
    """Formats that it is about; all if None."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject

    def begin(self) -> Iterable[Finding]:
        """Called once, before the first episode."""
        return ()

    def episode(self, position: int, recording: Recording) -> Iterable[Finding]:
        """Called for every episode that can be read, images not among what is at hand."""
        return ()

    def image(
        self, position: int, recording: Recording, key: str, frame: int, image: NDArray[Any]
    ) -> None:
        """Called for every image of the episode, camera by camera, after `episode`.

        Args:
            position: Of the episode.
            recording: The episode.
            key: Camera.
            frame: Number of the frame.
            image: (h, w, C); only valid during the call.
        """

    def images_seen(
        self, position: int, recording: Recording, statistics: Mapping[str, FeatureStatistics]
    ) -> Iterable[Finding]:
        """Called after the images of an episode, if images are looked at.

        Args:
            position: Of the episode.
            recording: The episode.
            statistics: Of every camera all of whose images could be decoded.
        """
        return ()

    def end(self) -> Iterable[Finding]:
        """Called once, after the last episode."""
        return ()
