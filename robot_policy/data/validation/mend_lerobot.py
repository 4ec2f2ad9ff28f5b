"""Mends LeRobot datasets: the writer makes all bookkeeping anew from the frames that are there."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from robot_policy.core.errors import ConfigError, DataError, RobotPolicyError
from robot_policy.core.files import new_folder
from robot_policy.data.formats.registry import FORMATS
from robot_policy.data.formats.video import VideoFrames, can_copy
from robot_policy.data.recording import STAMP, Feature, Recording
from robot_policy.data.statistics import FeatureStatistics
from robot_policy.data.validation.lenient_lerobot import LenientLeRobotReader, open_lenient
from robot_policy.data.validation.report import Report

_KNOWN = (
    "episode_index",
    "tasks",
    "length",
    "dataset_from_index",
    "dataset_to_index",
    "success",
    "metadata",
)
_KNOWN_PREFIXES = ("data/", "videos/", "meta/", "stats/")


def mend_lerobot(report: Report, output: Path, dropped: set[int]) -> tuple[int, list[str]]:
    """Writes a copy without the dropped episodes.

    Returns:
        Number of episodes, and lines that tell what else changed.

    Raises:
        ConfigError: If the copy would lack a feature, or no episode is left.
        DataError: If an episode cannot be carried over.
    """
    reader = open_lenient(report.path, report.format)
    if reader.left_out:
        raise ConfigError(
            f"the copy would lack what is not read: {'; '.join(reader.left_out)}",
            where=report.path,
            hint="`data convert --allow-loss` goes without",
        )
    kept = [position for position in range(len(reader)) if position not in dropped]
    if not kept:
        raise ConfigError("no episode is left", where=report.path)
    lines = _not_carried(reader)
    wrong = {
        (f.place.episode, f.place.feature)
        for f in report.of("statistics-mismatch")
        if f.place.episode is not None
    }
    if report.counts["statistics-mismatch"] > len(report.of("statistics-mismatch")):
        wrong |= {(position, key) for position in kept for key in reader.description.images}
    description = reader.description
    keeps_times = STAMP not in description.features and _are_capture_times(report)
    if keeps_times:
        features = {**description.features, STAMP: Feature("int64", (1,))}
        description = replace(description, features=features)
        lines.append(f"timestamps as they were are kept in {STAMP}")
    with new_folder(output) as folder:
        writer = FORMATS[report.format].create(folder, description)
        try:
            for position in kept:
                known = _statistics(reader, position) if report.images else {}
                trusted = {k: of for k, of in known.items() if (position, k) not in wrong}
                with _naming(position):
                    recording = _recording(reader, position)
                    if keeps_times:
                        recording = _with_times(recording)
                    lines += _encoded_again(recording, position)
                    writer.add(replace(recording, statistics=trusted))
        finally:
            writer.close()
    return len(kept), lines


def _recording(reader: LenientLeRobotReader, position: int) -> Recording:
    recording = reader.recording(position)
    indices = recording.columns["task_index"]
    if ((indices < 0) | (indices >= len(reader.tasks))).any():
        raise DataError("a task is not in the table of tasks, and cannot be guessed")
    # It is the number the episode had; in the copy it has another one.
    metadata = {k: v for k, v in recording.metadata.items() if k != "episode_index"}
    return replace(recording, metadata=metadata)


def _are_capture_times(report: Report) -> bool:
    """Whether timestamps that are made anew were measured, as far as one can tell."""
    return bool(report.counts["timestamp-off-grid"]) and not any(
        report.counts[code] for code in ("timestamp-not-increasing", "not-finite-extra")
    )


def _with_times(recording: Recording) -> Recording:
    times_ns = np.round(recording.columns["timestamp"].astype(np.float64) * 1e9).astype(np.int64)
    return replace(recording, columns={**recording.columns, STAMP: times_ns})


def _statistics(reader: LenientLeRobotReader, position: int) -> Mapping[str, FeatureStatistics]:
    """Statistics of an episode as they are told; of images, they are from before compression."""
    try:
        return reader.statistics(position)
    except DataError:
        return {}


@contextmanager
def _naming(position: int) -> Generator[None]:
    try:
        yield
    except RobotPolicyError as error:
        raise DataError(
            "cannot be carried into the copy",
            where=f"episode {position}",
            got=error,
            hint="--drop undecodable or --drop not-finite leaves such episodes out",
        ) from error


def _encoded_again(recording: Recording, position: int) -> list[str]:
    """A line for every video that cannot be copied as it is."""
    return [
        f"encoded again: episode {position}, {key}"
        for key, frames in recording.frames.items()
        if isinstance(frames, VideoFrames) and frames.path.is_file() and not can_copy(frames)
    ]


def _not_carried(reader: LenientLeRobotReader) -> list[str]:
    """A line for every column of the metadata of episodes that only somebody else knows."""
    row = reader.row(0)
    return [
        f"not carried over: {name} of the metadata of episodes"
        for name in row
        if name not in _KNOWN and not name.startswith(_KNOWN_PREFIXES)
    ]
