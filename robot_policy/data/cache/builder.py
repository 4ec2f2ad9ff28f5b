"""Builds the parts of a cache entry: once the arrays, and per camera what is kept of its frames."""

import json
import os
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import batched
from pathlib import Path
from threading import Event
from typing import Any
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.errors import DataError
from robot_policy.core.files import write_json
from robot_policy.core.specs import ArraySpec, PolicySpec
from robot_policy.data.cache.array_file import ArrayFileWriter
from robot_policy.data.cache.frame_encoder import FrameEncoder
from robot_policy.data.cache.location import ABOUT, ARRAYS_PART, publishing, require_space
from robot_policy.data.episode_frames import are_images, pack_statistics
from robot_policy.data.flat_arrays import FlatArrays
from robot_policy.data.formats.episode_format import EpisodeFormat
from robot_policy.data.formats.episode_mapping import camera_keys
from robot_policy.data.frames import Frames
from robot_policy.data.statistics import ImageStatistics, vector_statistics

type Report = Callable[[int, int], None]
"""Is told how many episodes are done, of how many."""

SPEC, EPISODES = "spec.json", "episodes.json"
FRAMES, STATISTICS = "frames.npy", "statistics.npy"
ARRAYS = ("state", "actions", "rewards", "stamps_ns", "environment_state")
INTERVENTIONS = ("intervention", "policy_actions")
"""Arrays that only datasets have in which people took over from a policy."""
_AT_ONCE = 32
"""Frames that a thread holds in memory."""
_REPORT_EVERY_S = 0.25


@dataclass(frozen=True, slots=True)
class Source:
    """A dataset to build from.

    Attributes:
        path: Where it is.
        format: Reads it.
        spec: What it holds.
        check: Raises if it has changed since it was given its address; asked before a part is
            published.
    """

    path: Path
    format: EpisodeFormat
    spec: PolicySpec
    check: Callable[[], None]


def arrays_part(entry: Path) -> Path:
    """Returns the folder of states, actions and summaries."""
    return entry / ARRAYS_PART


def frames_part(entry: Path, camera: str, encoder: FrameEncoder) -> Path:
    """Returns the folder of what is kept of a camera's frames."""
    return entry / f"{quote(camera, safe='')}@{quote(encoder.key, safe='')}"


def build_arrays(source: Source, part: Path) -> None:
    """Reads everything but images.

    Raises:
        DataError: If the dataset is damaged or empty.
    """
    episodes = list(source.format.read(source.path, cameras=()))
    if not episodes:
        raise DataError("the dataset holds no episode", where=source.path)
    arrays = FlatArrays.of(episodes)
    with publishing(part) as folder:
        for name in (*ARRAYS, *INTERVENTIONS):
            values = getattr(arrays, name)
            if values is not None:
                np.save(folder / f"{name}.npy", values, allow_pickle=False)
        write_json(folder / SPEC, source.spec.to_json())
        (folder / EPISODES).write_text(
            json.dumps(
                [
                    {
                        "length": len(episode),
                        "success": episode.success.value,
                        "task": episode.task,
                        "metadata": dict(episode.metadata),
                    }
                    for episode in episodes
                ]
            )
        )
        # For a person who wonders what takes so much space.
        write_json(folder / ABOUT, {"dataset": str(source.path.resolve())})
        source.check()


def build_frames(
    source: Source,
    part: Path,
    camera: str,
    encoder: FrameEncoder,
    *,
    lengths: Sequence[int],
    threads: int | None,
    report: Report,
) -> None:
    """Decodes and encodes the frames of one camera.

    Args:
        source: Dataset.
        part: Folder to publish.
        camera: One of the dataset's.
        encoder: What is kept.
        lengths: Of the dataset's episodes.
        threads: That decode at once; as many as there are cores if None.
        report: Told of progress.

    Raises:
        DataError: If the dataset is damaged, or its episodes have other lengths.
        ConfigError: If it does not fit on the disk.
    """
    kept = encoder.spec(source.spec.cameras[camera])
    starts = np.concatenate([[0], np.cumsum(lengths)])
    require_space(part.parent, int(starts[-1]) * _bytes(kept))
    workers = min(len(lengths), threads or len(os.sched_getaffinity(0)))
    # As few pieces as possible, because every one opens the dataset.
    blocks = np.array_split(np.arange(len(lengths)), workers)
    statistics: dict[int, NDArray[np.float64]] = {}
    stop = Event()
    shape = (int(starts[-1]), *kept.shape)
    with (
        publishing(part) as folder,
        ArrayFileWriter(folder / FRAMES, shape=shape, dtype=kept.dtype) as file,
    ):

        def fill(block: Sequence[int]) -> None:
            reader = source.format.open(source.path)
            key = camera_keys(reader.description)[camera]
            for number in block:
                if stop.is_set():
                    return
                recording = reader.recording(number)
                if len(recording) != lengths[number]:
                    raise DataError("changed while it was read", where=source.path)
                place = _Place(file, int(starts[number]))
                statistics[number] = _encode(recording.frames[key], encoder, place)

        with ThreadPoolExecutor(max_workers=workers) as pool:
            jobs = {pool.submit(fill, block.tolist()) for block in blocks}
            try:
                while jobs:
                    done, jobs = wait(jobs, _REPORT_EVERY_S, return_when=FIRST_COMPLETED)
                    for job in done:
                        job.result()
                    report(len(statistics), len(lengths))
            finally:
                stop.set()
        table = np.stack([statistics[number] for number in range(len(lengths))])
        np.save(folder / STATISTICS, table, allow_pickle=False)
        write_json(folder / ABOUT, {"camera": camera, "encoder": encoder.key, "shape": list(shape)})
        source.check()


@dataclass(slots=True)
class _Place:
    """Where the next frames of an episode go."""

    file: ArrayFileWriter
    row: int

    def write(self, frames: NDArray[Any]) -> None:
        self.file.write(self.row, frames)
        self.row += len(frames)


def _encode(frames: Frames, encoder: FrameEncoder, place: _Place) -> NDArray[np.float64]:
    """Encodes an episode, a few frames at a time, and returns its packed statistics."""
    images: ImageStatistics | None = None
    features: list[NDArray[Any]] = []
    seen = 0
    for some in batched(frames, _AT_ONCE):
        encoded = encoder.encode(np.stack(some))
        place.write(encoded)
        if not are_images(encoded):
            features.append(encoded)
            continue
        images = images or ImageStatistics((frames.shape[0], *encoded.shape[1:]), encoded.dtype)
        for frame in encoded:
            images.add(seen, frame)
            seen += 1
    of = vector_statistics(np.concatenate(features)) if images is None else images.result()
    return pack_statistics(of)


def _bytes(spec: ArraySpec) -> int:
    return spec.size * np.dtype(spec.dtype).itemsize
