"""Shows a dataset to all checks, once, one episode at a time."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from robot_policy.core.errors import DataError
from robot_policy.data.formats.registry import find_format
from robot_policy.data.formats.source_options import SourceOptions
from robot_policy.data.formats.video import VideoFrames
from robot_policy.data.frames import Frames
from robot_policy.data.recording import Recording
from robot_policy.data.statistics import FeatureStatistics, ImageStatistics
from robot_policy.data.validation.check import Check, Subject
from robot_policy.data.validation.finding import Fault, Finding, Place, Severity
from robot_policy.data.validation.opening import DATASET, open_for_checking, robot_of
from robot_policy.data.validation.registry import CHECKS
from robot_policy.data.validation.report import Report

EPISODE = Fault(
    "episode-unreadable",
    Severity.ERROR,
    "an episode cannot be read",
    "bring its file back; --fix --drop undecodable leaves it out",
)
UNDECODABLE = Fault(
    "undecodable-frame",
    Severity.ERROR,
    "an image cannot be decoded, or only by guessing pixels",
    "bring the file back; --fix --drop undecodable leaves the episode out",
)


def all_faults() -> list[Fault]:
    """Every kind of fault that can be found, each once."""
    known = [DATASET, EPISODE, UNDECODABLE, *(f for name in CHECKS for f in CHECKS[name].faults)]
    return list({fault.code: fault for fault in known}.values())


def validate(
    path: Path,
    options: SourceOptions | None = None,
    *,
    images: bool = True,
    advance: Callable[[], None] = lambda: None,
    begin: Callable[[int], None] = lambda episodes: None,
) -> Report:
    """Checks a dataset.

    Args:
        path: Dataset of any format, or view.
        options: What the dataset itself does not say.
        images: Whether every image is decoded and looked at.
        advance: Called after every episode.
        begin: Called with the number of episodes, before the first one.

    Raises:
        DataError: If nothing is there, or it is of no known format.
        ConfigError: If an option is missing or wrong.
    """
    start_s = time.perf_counter()
    options = options or SourceOptions()
    name, dataset_format = find_format(path)
    report = Report(path, name)
    report.images = images
    reader, findings = open_for_checking(path, name, dataset_format, options)
    report.add(findings)
    if reader is not None:
        begin(len(reader))
        subject = Subject(path, name, reader, robot_of(reader, options.robot))
        _Validation(subject, report, images=images).run(advance)
    report.seconds = time.perf_counter() - start_s
    return report


class _Validation:
    """One run over a dataset that is open.

    Args:
        subject: The dataset.
        report: Takes what is found.
        images: Whether images are looked at.
    """

    def __init__(self, subject: Subject, report: Report, *, images: bool) -> None:
        self._subject, self._report = subject, report
        self._images = images and bool(subject.description.images)
        kinds: Sequence[type[Check]] = [CHECKS[name] for name in CHECKS]
        self._checks = [
            kind(subject)
            for kind in kinds
            if kind.formats is None or subject.format in kind.formats
        ]

    def run(self, advance: Callable[[], None]) -> None:
        """Shows everything to the checks."""
        try:
            for check in self._checks:
                self._report.add(check.begin())
        except DataError as error:
            self._report.add([Finding(DATASET, Place(), str(error))])
        for position in range(len(self._subject.reader)):
            self._episode(position)
            advance()
        for check in self._checks:
            self._report.add(check.end())

    def _episode(self, position: int) -> None:
        try:
            recording = self._subject.reader.recording(position)
        except DataError as error:
            if not self._report.explains(position):
                self._report.add([Finding(EPISODE, Place(episode=position), str(error))])
            return
        self._report.episodes += 1
        self._report.frames += len(recording)
        try:
            for check in self._checks:
                self._report.add(check.episode(position, recording))
            if self._images:
                statistics = self._look_at_images(position, recording)
                for check in self._checks:
                    self._report.add(check.images_seen(position, recording, statistics))
        except DataError as error:  # a part of it that only a check reads
            self._report.add([Finding(EPISODE, Place(episode=position), str(error))])

    def _look_at_images(
        self, position: int, recording: Recording
    ) -> Mapping[str, FeatureStatistics]:
        """Shows every image; returns the statistics of cameras without damage."""
        found: dict[str, FeatureStatistics] = {}
        for key, frames in recording.frames.items():
            seen = 0
            statistics = ImageStatistics(frames.shape, frames.dtype)
            try:
                for image in strict(frames):
                    statistics.add(seen, image)
                    self._show(position, recording, key, seen, image)
                    seen += 1
                if seen != len(recording):
                    raise DataError("images are missing", expected=len(recording), got=seen)
                found[key] = statistics.result(like_lerobot=True)
            except DataError as error:
                if not self._report.explains(position, key):
                    last = len(recording) - 1
                    place = Place(None, position, (min(seen, last), last), key)
                    self._report.add([Finding(UNDECODABLE, place, str(error))])
        return found

    def _show(
        self, position: int, recording: Recording, key: str, frame: int, image: NDArray[Any]
    ) -> None:
        for check in self._checks:
            check.image(position, recording, key, frame, image)


def strict(frames: Frames) -> Frames:
    """The same images, but what a decoder would guess is an error."""
    return replace(frames, strict=True) if isinstance(frames, VideoFrames) else frames
