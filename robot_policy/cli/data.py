"""`robot-policy data …`: looks at datasets."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tyro.conf import Positional

from robot_policy.core.episode import Success
from robot_policy.core.files import write_json
from robot_policy.core.observation import ACTION, ENVIRONMENT_STATE, STATE, image_key
from robot_policy.core.specs import PolicySpec
from robot_policy.data.store import EpisodeStore


@dataclass(frozen=True)
class InfoConfig:
    """Show what a dataset holds."""

    path: Positional[Path]
    """Folder of the dataset."""
    json: Path | None = None
    """Also write it to this file."""


def run_info(config: InfoConfig) -> int:
    """Reads every episode's states and actions, so that what it shows is known to be readable."""
    store = EpisodeStore.open(config.path)
    summary = summarize(store, config.path)
    if config.json is not None:
        write_json(config.json, summary)
    _show(summary)
    return 0


def summarize(store: EpisodeStore, path: Path) -> dict[str, Any]:
    """Returns what `data info` shows, JSON-ready."""
    lengths = [episode.length for episode in store.episodes]
    outcomes = Counter(episode.success for episode in store.episodes)
    return {
        "path": str(path),
        "robot": store.spec.robot,
        "action_space": store.spec.action_space.value,
        "rate_hz": round(1.0 / store.spec.dt_s, 6),
        "features": _features(store.spec),
        "episodes": len(lengths),
        "frames": sum(lengths),
        "lengths": {
            "min": min(lengths),
            "median": sorted(lengths)[len(lengths) // 2],
            "max": max(lengths),
        },
        "success": {outcome.value: outcomes[outcome] for outcome in Success},
        "tasks": dict(Counter(episode.task for episode in store.episodes)),
        "bytes": sum(file.stat().st_size for file in path.rglob("*") if file.is_file()),
    }


def _features(spec: PolicySpec) -> dict[str, dict[str, Any]]:
    arrays = {STATE: spec.state, ACTION: spec.action}
    if spec.environment_state is not None:
        arrays[ENVIRONMENT_STATE] = spec.environment_state
    arrays |= {image_key(camera): image for camera, image in spec.cameras.items()}
    return {
        key: {"shape": list(array.shape), "dtype": array.dtype, "names": list(array.names)}
        for key, array in arrays.items()
    }


def _show(summary: dict[str, Any]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE, show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in _rows(summary):
        # Text, not str: a name may hold what rich takes for markup.
        table.add_row(name, Text(value))
    Console().print(table)


def _rows(summary: dict[str, Any]) -> list[tuple[str, str]]:
    lengths, success = summary["lengths"], summary["success"]
    outcomes = ", ".join(f"{count} {name}" for name, count in success.items() if count)
    spread = f"{lengths['min']} to {lengths['max']} frames, median {lengths['median']}"
    rows = [
        ("dataset", summary["path"]),
        ("robot", f"{summary['robot']}, {summary['action_space']}, {summary['rate_hz']:g} Hz"),
        ("episodes", f"{summary['episodes']} ({summary['frames']} frames)"),
        ("length", spread),
        ("success", outcomes),
        ("size", _size(summary["bytes"])),
    ]
    for task, count in summary["tasks"].items():
        rows.append(("task", f"{task or '(no text)'} ({count})"))
    for key, feature in summary["features"].items():
        shape = " x ".join(map(str, feature["shape"]))
        names = f"  {', '.join(feature['names'])}" if feature["names"] else ""
        rows.append((key, f"{shape} {feature['dtype']}{names}"))
    return rows


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count < 1e9 else f"{count / 1e9:.2f} GB"
