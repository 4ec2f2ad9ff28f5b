"""`robot-policy bench loader DATASET`: how fast training gets its windows, beside lerobot."""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from robot_policy.core.errors import ConfigError, DataError, UnknownNameError
from robot_policy.core.files import write_json
from robot_policy.core.specs import PolicySpec
from robot_policy.data.cache.frame_encoder import SizedFrames
from robot_policy.data.cache.location import cache_root
from robot_policy.data.cache.open_cached import open_cached
from robot_policy.data.formats.registry import detect_format

if TYPE_CHECKING:
    from robot_policy.data.store import EpisodeStore
    from robot_policy.training.loader_speed import Loader

_TOLERANCE = 2.0
"""Levels of 255 by which an image may differ on average between two decoders."""


@dataclass(frozen=True)
class LoaderBenchConfig:
    """Random windows per second of a video dataset: from our cache, and as lerobot reads them.

    Loaders take turns, on the same files, with the same windows and batches; before, their samples
    are compared value by value.
    """

    dataset: tyro.conf.Positional[Path]
    """Dataset with videos, in LeRobot's format v3.0."""
    cameras: tuple[str, ...] = ()
    """Cameras; all if none is given. lerobot decodes all in any case."""
    horizon: int = 16
    """Actions per window."""
    batch_size: int = 64
    """Windows per batch."""
    turns: int = 5
    """Turns of each loader."""
    batches: int = 8
    """Batches timed per turn."""
    workers: int = 0
    """Processes of our loader; 0 for a thread."""
    lerobot_workers: int = -1
    """Processes of lerobot's loader; -1 for one per core."""
    compared: int = 256
    """Windows whose samples are compared."""
    cache: str = "user"
    """Where decoded images are kept, as in `train`."""
    json: Annotated[Path | None, tyro.conf.arg(help="Write the figures to this file.")] = None


def run(config: LoaderBenchConfig) -> int:
    """Prints the median rate over the turns of each loader, and their ratio."""
    _check(config)
    spec = detect_format(config.dataset).read_spec(config.dataset)
    cameras = _cameras(config, spec)
    from robot_policy.training.loader_speed import ImageKind, compare, random_order
    from robot_policy.training.loader_speed import windows_per_second as measure

    start_s = time.perf_counter()
    store = open_cached(
        config.dataset,
        encoders={camera: SizedFrames() for camera in cameras},
        root=cache_root(config.cache, config.dataset),
    )
    opening_s = time.perf_counter() - start_s
    ours, theirs, backend = _loaders(config, store, spec, cameras)
    batch_size = min(config.batch_size, len(store))
    whole_batches = -(-config.compared // batch_size) * batch_size
    order = random_order(len(store), count=whole_batches, seed=config.turns)
    differences = [
        compare(a, b, order, cameras=cameras, tolerance=_TOLERANCE)
        for a, b in zip(ours, theirs, strict=True)
    ]
    loaders: list[Loader] = [*ours, *theirs]
    rates = measure(
        loaders,
        windows=len(store),
        batch_size=batch_size,
        turns=config.turns,
        batches=config.batches,
    )
    rows = [_row(loader, measured) for loader, measured in zip(loaders, rates, strict=True)]
    ratios = {
        kind.value: round(_ratio(rates[index], rates[index + len(ours)]), 1)
        for index, kind in enumerate(ImageKind)
    }
    summary = {
        "dataset": str(config.dataset),
        "windows": len(store),
        "cameras": {camera: list(spec.cameras[camera].shape) for camera in cameras},
        "horizon": config.horizon,
        "batch_size": config.batch_size,
        "workers": config.workers,
        "lerobot_workers": _lerobot_workers(config),
        "lerobot_video_backend": backend,
        "opening_s": round(opening_s, 3),
        "compared_windows": min(d.windows for d in differences),
        "mean_image_difference": round(max(d.mean for d in differences), 3),
        "largest_image_difference": round(max(d.largest for d in differences), 1),
        "loaders": rows,
        "times_lerobot": ratios,
    }
    _show(summary)
    if config.json is not None:
        write_json(config.json, summary)
    return 0


def _check(config: LoaderBenchConfig) -> None:
    least = {
        "horizon": 1,
        "batch_size": 1,
        "turns": 1,
        "batches": 1,
        "workers": 0,
        "lerobot_workers": -1,
        "compared": 1,
    }
    for name, value in least.items():
        if getattr(config, name) < value:
            where = f"--{name.replace('_', '-')}"
            raise ConfigError("too small", where=where, expected=f">= {value}")


def _cameras(config: LoaderBenchConfig, spec: PolicySpec) -> tuple[str, ...]:
    for camera in config.cameras:
        if camera not in spec.cameras:
            raise UnknownNameError.of("camera", camera, spec.cameras, where=config.dataset)
    cameras = config.cameras or tuple(spec.cameras)
    if not cameras:
        raise DataError("the dataset has no videos", where=config.dataset)
    return cameras


def _loaders(
    config: LoaderBenchConfig, store: "EpisodeStore", spec: PolicySpec, cameras: tuple[str, ...]
) -> tuple[list[Any], list[Any], str]:
    from robot_policy.training.loader_speed import CachedLoader, ImageKind
    from robot_policy.training.peers.lerobot_loader import LerobotLoader

    common: dict[str, Any] = {
        "cameras": cameras,
        "horizon": config.horizon,
        "batch_size": min(config.batch_size, len(store)),
    }
    ours = [CachedLoader(store, images=k, workers=config.workers, **common) for k in ImageKind]
    theirs = [
        LerobotLoader(
            config.dataset,
            rate_hz=1.0 / spec.dt_s,
            workers=_lerobot_workers(config),
            images=kind,
            **common,
        )
        for kind in ImageKind
    ]
    return ours, theirs, theirs[0].video_backend


def _lerobot_workers(config: LoaderBenchConfig) -> int:
    if config.lerobot_workers >= 0:
        return config.lerobot_workers
    return len(os.sched_getaffinity(0))


def _row(loader: "Loader", rates: Sequence[float]) -> dict[str, Any]:
    return {
        "loader": loader.name,
        "windows_per_s": round(median(rates), 1),
        "turns": [round(rate, 1) for rate in rates],
    }


def _ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    # Turn by turn, because what slows one down slows its neighbour down too.
    return median(a / b for a, b in zip(ours, theirs, strict=True))


def _show(summary: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    sizes = ", ".join(f"{c} {s[0]}x{s[1]}" for c, s in summary["cameras"].items())
    table = Table(
        *("loader, images", "windows/s", "lowest", "highest"),
        title=f"{summary['dataset']}: {sizes}, {summary['horizon']} actions",
    )
    for row in summary["loaders"]:
        table.add_row(
            row["loader"],
            f"{row['windows_per_s']:.0f}",
            f"{min(row['turns']):.0f}",
            f"{max(row['turns']):.0f}",
        )
    console = Console()
    console.print(table)
    ratios = ", ".join(f"{ratio:g} with {kind}" for kind, ratio in summary["times_lerobot"].items())
    console.print(
        f"times lerobot ({summary['lerobot_video_backend']}): {ratios}\n"
        f"{summary['compared_windows']} windows compared: states, actions and padding equal, "
        f"images {summary['mean_image_difference']:g} of 255 apart on average at most"
    )
