"""Episodes as a recording for rerun's viewer: a tab for each, cameras above, numbers below."""

import importlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from robot_policy.core.files import replacing
from robot_policy.data.display.clip import MEDIA_TYPE, clip
from robot_policy.data.display.shown_episode import ShownEpisode

APPLICATION = "robot-policy"


def write_recording(path: Path, episodes: Iterable[ShownEpisode], *, name: str) -> None:
    """Writes a ``.rrd`` file, whole or not at all.

    Entities are ``episode_<number>/<feature>`` and ``episode_<number>/cameras/<camera>``, on the
    time lines ``time``, seconds since the episode began, and ``frame``.

    Args:
        path: File to write.
        episodes: What it shows; consumed one at a time.
        name: Of the recording.

    Raises:
        DataError: If an image cannot be read.
        ModuleNotFoundError: If rerun is not installed.
    """
    rr: Any = importlib.import_module("rerun")  # an extra; its types are not complete
    rrb: Any = importlib.import_module("rerun.blueprint")
    with replacing(path) as temporary:
        stream = rr.RecordingStream(APPLICATION, recording_id=name)
        stream.save(temporary)
        tabs = [_log(rr, rrb, stream, episode) for episode in episodes]
        stream.send_blueprint(rrb.Blueprint(rrb.Tabs(*tabs), collapse_panels=True))
        stream.flush()
        stream.disconnect()


def _log(rr: Any, rrb: Any, stream: Any, episode: ShownEpisode) -> Any:
    """Logs an episode and returns its tab."""
    root, length = [f"episode_{episode.number:06d}"], len(episode.recording)
    seconds = np.arange(length) / episode.rate_hz
    index = [
        rr.TimeColumn("time", duration=seconds),
        rr.TimeColumn("frame", sequence=np.arange(length)),
    ]
    recording = episode.recording
    about = f"{recording.task or 'no task'}, success {recording.success}, {length} frames"
    stream.log(rr.new_entity_path(root), rr.TextDocument(about), static=True)
    views: list[Any] = []
    for camera, frames in episode.cameras.items():
        place = rr.new_entity_path([*root, "cameras", camera])
        video = rr.AssetVideo(contents=clip(frames, episode.rate_hz), media_type=MEDIA_TYPE)
        stream.log(place, video, static=True)
        nanoseconds = np.round(seconds * 1e9).astype(np.int64)
        references = rr.VideoFrameReference.columns_nanos(nanoseconds)
        stream.send_columns(place, indexes=index, columns=references)
        views.append(rrb.Spatial2DView(origin=place, name=camera))
    plots: list[Any] = []
    for group in episode.groups:
        place = rr.new_entity_path([*root, group.key])
        names = [f"{n} [{u}]" if u else n for n, u in zip(group.names, group.units, strict=True)]
        stream.log(place, rr.SeriesLines(names=names), static=True)
        stream.send_columns(place, indexes=index, columns=rr.Scalars.columns(scalars=group.values))
        plots.append(rrb.TimeSeriesView(origin=place, name=group.key))
    rows = [rrb.Horizontal(*views)] if views else []
    return rrb.Vertical(*rows, *plots, name=f"episode {episode.number}")
