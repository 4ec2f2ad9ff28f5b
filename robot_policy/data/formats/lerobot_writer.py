"""What writing a LeRobot dataset of any version has in common: the files of one episode."""

import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.errors import DataError
from robot_policy.core.files import read_json
from robot_policy.core.observation import TASK
from robot_policy.data.formats import lerobot_layout as layout
from robot_policy.data.formats.lerobot_data_file import (
    bookkeeping,
    data_schema,
    write_data_file,
)
from robot_policy.data.formats.lerobot_statistics import (
    Statistics,
    Watched,
    column_statistics,
)
from robot_policy.data.formats.recording_check import check_recording
from robot_policy.data.formats.video import VideoFrames, copy_video, write_video
from robot_policy.data.recording import Description, Feature, Recording
from robot_policy.data.statistics import FeatureStatistics


class LeRobotWriter(ABC):
    """Adds episodes to a dataset; every episode has files of its own.

    Whatever interrupts it, the dataset holds the episodes that info.json tells of: it is replaced
    last. Files beyond them are leftovers, which readers do not look at and the next writer removes.

    Args:
        root: Folder of the dataset.
        description: What every episode holds.
        tasks: Instruction texts so far, by task index.
        episodes: Committed so far.
        frames: In them.
    """

    def __init__(
        self,
        root: Path,
        description: Description,
        *,
        tasks: list[str],
        episodes: int,
        frames: int,
    ) -> None:
        self._root = root
        self._description = description
        self._rate_hz = layout.whole_rate(description.rate_hz)
        self._schema = data_schema(description)
        self._tasks = tasks
        self._frames = frames
        self._episodes = episodes

    @property
    def episodes(self) -> int:
        """Episodes that are committed."""
        return self._episodes

    def add(self, recording: Recording) -> None:
        """Writes an episode; it is part of the dataset when this returns.

        Raises:
            SpecError: If it does not fit the description.
            DataError: If a value is not finite, or an image cannot be read.
        """
        check_recording(recording, self._description)
        length = len(recording)
        indices, tasks = self._task_indices(recording)
        columns = {k: recording.columns[k] for k in self._description.columns if k != TASK}
        columns |= bookkeeping(
            length,
            episode=self._episodes,
            first_frame=self._frames,
            rate_hz=self._rate_hz,
            tasks=indices,
        )
        statistics: Statistics = {}
        for key, values in columns.items():
            known = None if values.dtype == object else column_statistics(values)
            if known is not None:
                statistics[key] = known
        embedded: dict[str, Watched] = {}
        for key, feature in self._description.images.items():
            if layout.is_video(feature):
                statistics[key] = self._write_video(key, feature, recording)
            else:
                embedded[key] = Watched(recording.frames[key])
        self._commit(
            self._data_path(),
            lambda path: write_data_file(path, self._schema, columns, embedded),
        )
        statistics |= {key: watched.result() for key, watched in embedded.items()}
        try:
            self._commit_metadata(recording, tasks, statistics)
        except Exception:
            # A full disk, mostly: what is written of the episode is no part of the dataset.
            self._roll_back()
            raise
        self._episodes, self._frames, self._tasks = (
            self._episodes + 1,
            self._frames + length,
            tasks,
        )

    def close(self) -> None:
        """Removes what is not part of the dataset."""
        shutil.rmtree(self._root / layout.STAGING, ignore_errors=True)
        for temporary in (self._root / "meta").glob(".*.json.*"):
            temporary.unlink()
        self._roll_back()

    def _roll_back(self) -> None:
        if self._committed() <= self._episodes:
            self._remove_leftovers()
        # Else Ctrl-C came between the commit of an episode and the next line here: nothing is left.

    def _committed(self) -> int:
        info = self._root / layout.INFO
        return int(read_json(info)["total_episodes"]) if info.exists() else 0

    @abstractmethod
    def _data_path(self) -> str:
        """Where the frames of the next episode go, relative to the dataset."""

    @abstractmethod
    def _video_path(self, key: str) -> str:
        """Where a video of the next episode goes."""

    @abstractmethod
    def _commit_metadata(
        self, recording: Recording, tasks: list[str], statistics: Statistics
    ) -> None:
        """Writes what tells of the next episode, info.json last."""

    @abstractmethod
    def _remove_leftovers(self) -> None:
        """Removes files of episodes that are not committed."""

    def _write_video(self, key: str, feature: Feature, recording: Recording) -> FeatureStatistics:
        """Returns the statistics of the images: the source's, if it copies their video."""
        frames = recording.frames[key]
        watched = Watched(frames)
        copied = False

        def write(path: Path) -> None:
            nonlocal copied
            if isinstance(frames, VideoFrames) and frames.rate_hz == self._rate_hz:
                copied = copy_video(path, frames)
            if copied:
                return
            if feature.is_depth:
                raise DataError(
                    "a depth video cannot be compressed again",
                    where=f"{recording.where}, {key}",
                    hint="--images lossless keeps it as single images",
                )
            write_video(path, watched, self._rate_hz)

        self._commit(self._video_path(key), write)
        if copied and key in recording.statistics:
            return recording.statistics[key]
        if copied:
            for _ in watched:
                pass
        return watched.result()

    def _task_indices(self, recording: Recording) -> tuple[NDArray[np.int64], list[str]]:
        """Returns (T,) task indices, and all tasks with those that are new."""
        if TASK in self._description.features:
            texts = recording.columns[TASK][:, 0].tolist()
        else:
            texts = [recording.task] * len(recording)
        index = {text: number for number, text in enumerate(self._tasks)}
        for text in texts:
            index.setdefault(text, len(index))
        return np.array([index[text] for text in texts], dtype=np.int64), list(index)

    def _commit(self, name: str, write: Callable[[Path], None]) -> None:
        """Lets `write` write a file in the staging folder and moves it to its place."""
        self._commit_together({name: write})

    def _commit_together(self, files: Mapping[str, Callable[[Path], None]]) -> None:
        """Writes files in the staging folder, then moves all of them to their places, in order.

        Nothing can fail between two moves for want of space, and hardly anything comes between.
        """
        staged: list[tuple[Path, Path]] = []
        for number, (name, write) in enumerate(files.items()):
            target = self._root / name
            path = self._root / layout.STAGING / str(number) / target.name
            for folder in (path.parent, target.parent):
                folder.mkdir(parents=True, exist_ok=True)
            write(path)
            staged.append((path, target))
        for path, target in staged:
            path.replace(target)


def task_texts(recording: Recording) -> list[str]:
    """All tasks of an episode, in the order in which they come."""
    if TASK not in recording.columns:
        return [recording.task]
    return list(dict.fromkeys(recording.columns[TASK][:, 0].tolist()))
