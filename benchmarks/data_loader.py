"""Cells of the data benchmark: random windows of video datasets, beside lerobot on the same."""

from pathlib import Path
from typing import Any

from jobs import Job
from measure import ROOT, Target

from robot_policy.core.files import read_json

FOLDER = ROOT / "runs" / "data"
AGAIN = "python benchmarks/data.py --only loader"
WANTED = 20.0
"""Times lerobot."""
EPISODES = 50
CELLS: dict[str, tuple[int, tuple[str, ...]]] = {
    "one_camera_84": (84, ("agentview",)),
    "two_cameras_84": (84, ("agentview", "wrist")),
    "one_camera_224": (224, ("agentview",)),
    "two_cameras_224": (224, ("agentview", "wrist")),
}
"""Image size [px] and cameras; lerobot decodes every camera of a dataset, so each has its own."""


def jobs() -> list[Job]:
    """Collects the datasets, then measures, each alone on the machine."""
    listed: list[Job] = []
    for cell, (size, cameras) in CELLS.items():
        folder = FOLDER / "sets" / cell
        listed.append(
            Job(
                f"loader-set-{cell}",
                (
                    *(
                        "collect",
                        "lift",
                        "--output",
                        _relative(folder),
                        "--episodes",
                        str(EPISODES),
                    ),
                    *("--cameras", *cameras, "--image-size", str(size), str(size)),
                    *("--json", _relative(folder.with_suffix(".json"))),
                ),
                folder.with_suffix(".json"),
                resume=("--resume",),
                started=folder / "meta" / "info.json",
            )
        )
        listed.append(
            Job(
                f"loader-{cell}",
                (
                    *("bench", "loader", _relative(folder), "--horizon", "16"),
                    *("--cache", _relative(FOLDER / "cache"), "--json", _relative(_result(cell))),
                ),
                _result(cell),
                needs=(f"loader-set-{cell}",),
                alone=True,
            )
        )
    return listed


def rows() -> list[dict[str, Any]]:
    """What is measured so far."""
    return [
        {"cell": f"loader-{cell}"} | read_json(_result(cell))
        for cell in CELLS
        if _result(cell).exists()
    ]


def targets(known: dict[str, dict[str, Any]]) -> list[Target]:
    """The least ratio to lerobot over the cells, both handing over uint8 images."""
    ratios = [
        row["times_lerobot"]["uint8"]
        for cell in CELLS
        if (row := known.get(f"loader-{cell}")) is not None
    ]
    complete = len(ratios) == len(CELLS)
    least = min(ratios) if complete else None
    return [
        Target(
            "loader_times_lerobot",
            f"random windows at least {WANTED:g} times as fast as lerobot's loader on the same "
            "files, with equal samples, one and two cameras at 84 and 224 px",
            least,
            "times",
            least is not None and least >= WANTED,
            AGAIN,
        )
    ]


def _result(cell: str) -> Path:
    return FOLDER / "loader" / f"{cell}.json"


def _relative(path: Path) -> str:
    return str(path.relative_to(ROOT))
