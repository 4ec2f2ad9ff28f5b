"""Part of the data benchmark: the validator on datasets that other libraries wrote.

Run as a script, it makes one of them, or checks it, or writes the table of docs/data.md.
"""

import argparse
import importlib.metadata
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from generated import write_generated
from jobs import Job
from measure import ROOT, Target

from robot_policy.cli.main import main as robot_policy_main
from robot_policy.core.files import read_json, write_json

FOLDER = ROOT / "runs" / "data" / "foreign"
AGAIN = "python benchmarks/data.py --only foreign"
WANTED = 3
PAGE = ROOT / "docs" / "data.md"
_SCRIPT = "benchmarks/data_foreign.py"


@dataclass(frozen=True)
class Cell:
    """A dataset of somebody else.

    Attributes:
        writer: What wrote it, for the reader.
        package: Whose version is noted.
        file: What to check, in its folder.
        needs: The cell whose data it is written from.
        options: Of `data validate`.
    """

    writer: str
    package: str
    file: str
    needs: str = ""
    options: tuple[str, ...] = ()


_ROBOT = ("--robot", "panda_twin")
CELLS = {
    "robosuite": Cell("robosuite's recorder, states only", "robosuite", "demo.hdf5"),
    "robomimic": Cell(
        "robomimic's own scripts, with images", "robomimic", "image.hdf5", "robosuite"
    ),
    "lerobot": Cell("lerobot's `LeRobotDataset`, with video", "lerobot", "set", "robomimic"),
    "rosbags": Cell("rosbags' `Writer`, a bag", "rosbags", "bag", "robomimic", _ROBOT),
    "mcap": Cell(
        "mcap's writer for ROS 2, one file", "mcap-ros2-support", "robot.mcap", "robomimic", _ROBOT
    ),
}


def jobs() -> list[Job]:
    """Makes the datasets and checks them; then the table."""
    listed: list[Job] = []
    for name, cell in CELLS.items():
        needs = (f"foreign-set-{cell.needs}",) if cell.needs else ()
        listed += [
            Job(f"foreign-set-{name}", (_SCRIPT, "make", name), _path(name), needs=needs),
            Job(
                f"foreign-{name}",
                (_SCRIPT, "check", name),
                _result(name),
                needs=(f"foreign-set-{name}",),
            ),
        ]
    needs = tuple(f"foreign-{name}" for name in CELLS)
    return [*listed, Job("foreign-table", (_SCRIPT, "table"), FOLDER / "table.md", needs=needs)]


def rows() -> list[dict[str, Any]]:
    """What was found so far."""
    return [
        {"cell": f"foreign-{name}"} | read_json(_result(name))
        for name in CELLS
        if _result(name).exists()
    ]


def targets(known: dict[str, dict[str, Any]]) -> list[Target]:
    """How many of the datasets could be checked to their last frame."""
    checked = [
        row
        for name in CELLS
        if (row := known.get(f"foreign-{name}")) is not None
        and row["episodes"]
        and not {"dataset-unreadable", "episode-unreadable"} & set(row["codes"])
    ]
    return [
        Target(
            "foreign_sets_validated",
            f"findings on at least {WANTED} datasets that this project did not write: lerobot's "
            "own writer, robomimic's own, a bag by another library",
            len(checked) or None,
            "datasets",
            len(checked) >= WANTED,
            AGAIN,
        )
    ]


def main() -> int:
    """Does one step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("step", choices=("make", "check", "table"))
    parser.add_argument("name", nargs="?", choices=tuple(CELLS))
    arguments = parser.parse_args()
    if arguments.step == "table":
        _write_table()
    elif arguments.step == "make":
        _make(arguments.name)
    else:
        _check(arguments.name)
    return 0


def _make(name: str) -> None:
    import foreign_sets

    folder = FOLDER / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    make: Callable[..., Path] = getattr(foreign_sets, f"make_{name}")
    needed = CELLS[name].needs
    made = make(folder, _path(needed)) if needed else make(folder)
    print(f"{made} is there")


def _check(name: str) -> None:
    cell, found = CELLS[name], FOLDER / name / "found.json"
    words = ["data", "validate", str(_path(name)), *cell.options, "--json", str(found)]
    robot_policy_main(words)
    report = read_json(found)
    first: dict[str, dict[str, Any]] = {}
    for finding in report["findings"]:
        first.setdefault(finding["code"], finding)
    write_json(
        _result(name),
        {
            "writer": cell.writer,
            "package": f"{cell.package} {importlib.metadata.version(cell.package)}",
            "command": " ".join(["robot-policy", *words[:2], _relative(_path(name)), *words[3:-2]]),
            **{key: report[key] for key in ("format", "episodes", "frames", "seconds")},
            "severities": report["severities"],
            "codes": report["codes"],
            "first": {
                code: {key: f[key] for key in ("severity", "episode", "frames", "feature", "found")}
                for code, f in first.items()
            },
        },
    )


def table(found: list[dict[str, Any]]) -> str:
    """The table of docs/data.md."""
    lines = ["| written by | holds | found |", "| --- | --- | --- |"]
    for row in found:
        told = [
            f"{of['severity']} `{code}` ({row['codes'][code]} x): {_place(of)}{of['found']}"
            for code, of in row["first"].items()
        ]
        holds = f"{row['format']}: {row['episodes']} episodes, {row['frames']} frames"
        text = "<br>".join(line.replace("|", "\\|") for line in told) or "nothing"
        lines.append(f"| {row['writer']} ({row['package']}) | {holds} | {text} |")
    return "\n".join(lines)


def _place(of: dict[str, Any]) -> str:
    parts = [] if of["episode"] is None else [f"episode {of['episode']}"]
    if of["frames"] is not None:
        parts.append(f"frames {of['frames'][0]}-{of['frames'][1]}")
    if of["feature"]:
        parts.append(of["feature"])
    return f"{', '.join(parts)}: " if parts else ""


def _write_table() -> None:
    text = table(rows())
    write_generated(PAGE, "data_foreign", [text])
    (FOLDER / "table.md").write_text(text + "\n")


def _path(name: str) -> Path:
    return FOLDER / name / CELLS[name].file


def _result(name: str) -> Path:
    return FOLDER / f"{name}.json"


def _relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


if __name__ == "__main__":
    sys.exit(main())
