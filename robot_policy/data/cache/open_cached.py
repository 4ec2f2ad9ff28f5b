"""Opens a dataset through its cache: decoded once, mapped into memory ever after."""

import json
import logging
import shutil
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from robot_policy.core.episode import Success
from robot_policy.core.errors import DataError, UnknownNameError
from robot_policy.core.specs import PolicySpec
from robot_policy.data.cache import builder
from robot_policy.data.cache.array_file import map_array
from robot_policy.data.cache.builder import Report, Source
from robot_policy.data.cache.frame_encoder import FrameEncoder
from robot_policy.data.cache.location import entry_folder, memory_file, one_builder, remove_outdated
from robot_policy.data.curation.labels import relabel_summary
from robot_policy.data.curation.view import View, is_view
from robot_policy.data.digest import content_digest
from robot_policy.data.episode_frames import EpisodeFrames
from robot_policy.data.flat_arrays import FlatArrays
from robot_policy.data.formats.registry import detect_format
from robot_policy.data.store import EpisodeStore, EpisodeSummary

logger = logging.getLogger(__name__)


def open_cached(
    path: Path,
    *,
    encoders: Mapping[str, FrameEncoder],
    root: Path,
    threads: int | None = None,
    report: Report = lambda done, total: None,
) -> EpisodeStore:
    """Opens a dataset of any known format, its images mapped from files.

    What is missing in the cache is built first. Its address is the content of the dataset, so a
    dataset that has changed is decoded again and a copied one is not.

    Args:
        path: Dataset; of a view, its sources are cached, each as a whole.
        encoders: Camera name to what is kept of its frames.
        root: Folder of caches, see `cache_root`.
        threads: That decode at once; as many as there are cores if None.
        report: Told of progress while something is built.

    Raises:
        DataError: If there is no dataset, it is damaged or empty, holds NaN, or changes while it
            is read.
        UnknownNameError: If there is no such camera.
        ConfigError: If the cache cannot be written or does not fit.
    """
    if is_view(path):
        return _open_view(path, encoders=encoders, root=root, threads=threads, report=report)
    dataset_format = detect_format(path)
    spec = dataset_format.read_spec(path)
    for camera in encoders:
        if camera not in spec.cameras:
            raise UnknownNameError(f"no camera {camera!r}", where=path, valid=spec.cameras)
    memory = memory_file(root, path)
    digest = content_digest(path, memory=memory)
    entry = entry_folder(root, digest)

    def check() -> None:
        if content_digest(path, memory=memory) != digest:
            raise DataError("changed while it was read", where=path, hint="run it again")

    store = _opened(entry, encoders)
    if store is not None:
        return store
    with one_builder(entry):
        source = Source(path, dataset_format, spec, check)
        _build(source, entry, encoders, threads=threads, report=report)
        store = _opened(entry, encoders)
        remove_outdated(entry, path)
    if store is None:
        raise DataError("the cache was removed while it was built", where=entry)
    return store


def _open_view(path: Path, **options: Any) -> EpisodeStore:
    whole: EpisodeStore | None = None
    for source in View.load(path).sources:
        source.check_unchanged()
        store = open_cached(source.path, **options).select(source.episodes)
        store = store.described(
            [relabel_summary(e, source.labels.get(e.index, {})) for e in store.episodes]
        )
        whole = store if whole is None else whole.followed_by(store, where=source.path)
    assert whole is not None
    return whole.described([replace(e, index=number) for number, e in enumerate(whole.episodes)])


def _build(
    source: Source,
    entry: Path,
    encoders: Mapping[str, FrameEncoder],
    *,
    threads: int | None,
    report: Report,
) -> None:
    """Builds what is not there; what is damaged is removed first."""
    arrays = builder.arrays_part(entry)
    known = _arrays(arrays)
    if known is None:
        shutil.rmtree(arrays, ignore_errors=True)
        builder.build_arrays(source, arrays)
        known = _arrays(arrays)
        if known is None:
            raise DataError("the cache cannot be read back", where=arrays)
    lengths = [episode.length for episode in known[1]]
    total = len(lengths) * len(encoders)
    for number, (camera, encoder) in enumerate(encoders.items()):
        part = builder.frames_part(entry, camera, encoder)
        if _frames(part, known[1]) is not None:
            continue
        shutil.rmtree(part, ignore_errors=True)
        logger.info("decoding %s of %s", camera, source.path)
        builder.build_frames(
            source,
            part,
            camera,
            encoder,
            lengths=lengths,
            threads=threads,
            report=_within(report, before=number * len(lengths), total=total),
        )


def _within(report: Report, *, before: int, total: int) -> Report:
    """Reports the progress of one of several cameras as that of the whole."""
    return lambda done, _: report(before + done, total)


def _opened(entry: Path, encoders: Mapping[str, FrameEncoder]) -> EpisodeStore | None:
    """Maps an entry; None if a part is missing or damaged."""
    arrays = _arrays(builder.arrays_part(entry))
    if arrays is None:
        return None
    spec, episodes, flat = arrays
    images: dict[str, EpisodeFrames] = {}
    cameras = dict(spec.cameras)
    for camera, encoder in encoders.items():
        frames = _frames(builder.frames_part(entry, camera, encoder), episodes)
        if frames is None:
            return None
        images[camera] = frames
        cameras[camera] = encoder.spec(cameras[camera])
    return EpisodeStore(replace(spec, cameras=cameras), episodes, flat, images)


def _arrays(part: Path) -> tuple[PolicySpec, list[EpisodeSummary], FlatArrays] | None:
    try:
        spec = PolicySpec.from_json(json.loads((part / builder.SPEC).read_text()))
        episodes = [
            _summary(number, row)
            for number, row in enumerate(json.loads((part / builder.EPISODES).read_text()))
        ]
        privileged = spec.environment_state is not None
        names = [n for n in builder.ARRAYS if privileged or n != "environment_state"]
        names += [n for n in builder.INTERVENTIONS if (part / f"{n}.npy").exists()]
        arrays = {name: map_array(part / f"{name}.npy") for name in names}
    except (OSError, ValueError, KeyError, TypeError):
        return None
    total = sum(episode.length for episode in episodes)
    if not total or any(len(values) != total for values in arrays.values()):
        return None
    return spec, episodes, FlatArrays(**arrays)


def _summary(number: int, row: Mapping[str, Any]) -> EpisodeSummary:
    return EpisodeSummary(
        row["length"], Success(row["success"]), row["task"], row["metadata"], index=number
    )


def _frames(part: Path, episodes: list[EpisodeSummary]) -> EpisodeFrames | None:
    try:
        frames = map_array(part / builder.FRAMES)
        table = map_array(part / builder.STATISTICS)
    except (OSError, ValueError):
        return None
    starts = np.concatenate([[0], np.cumsum([episode.length for episode in episodes])])
    if len(frames) != starts[-1] or len(table) != len(episodes):
        return None
    return EpisodeFrames((frames[a:b] for a, b in pairwise(starts)), table)
