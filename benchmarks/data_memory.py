"""Peak memory of every data command on a synthetic dataset of 20 GB.

The dataset is an HDF5 file with two cameras, written by the program's own writer; most of its
episodes are copies. What a command took is kept at once, so that a run that was stopped goes on.
The dataset is removed at the end.
"""

import argparse
import itertools
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from data_conversion import picture
from data_loader import FOLDER
from jobs import Job
from measure import ROOT, Measured, Target, robot_policy
from numpy.typing import NDArray

from robot_policy.core.episode import Success
from robot_policy.core.files import read_json, write_json
from robot_policy.core.robot import load_robot
from robot_policy.core.specs import image_spec
from robot_policy.data.formats.registry import FORMATS
from robot_policy.data.recording import Description, Feature, Recording

PARTS = FOLDER / "memory"
RESULT = FOLDER / "memory.json"
AGAIN = "python benchmarks/data.py --only memory"
WANTED_GB = 1.5
BYTES = 20_000_000_000
_SIZE = (480, 640)
_LENGTH = 50
_DIFFERENT = 6
"""Episodes that are written; the others are copies of them."""
_CAMERAS = ("agentview", "wrist")
_ROBOT = "panda_twin"


@dataclass(frozen=True, slots=True)
class PooledFrames:
    """Images of an episode, drawn from a few and moved about; see `Frames`."""

    pool: tuple[NDArray[np.uint8], ...]
    count: int
    first: int

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, h, w, 3)."""
        return (self.count, *self.pool[0].shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the pixels."""
        return np.dtype(np.uint8)

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        """Yields the images."""
        for number in range(self.first, self.first + self.count):
            yield np.roll(self.pool[number % len(self.pool)], 3 * number, axis=1)


def make(path: Path, size: int) -> None:
    """Writes a file of at least `size` bytes."""
    robot = load_robot(_ROBOT)
    spec = robot.spec(cameras=())
    cameras = {camera: image_spec(*_SIZE) for camera in _CAMERAS}
    spec = replace(spec, cameras=cameras)
    description = Description(
        _ROBOT,
        robot.rate_hz,
        {
            "observation.state": Feature("float32", spec.state.shape, spec.state.names),
            "action": Feature("float32", spec.action.shape, spec.action.names),
            **{
                f"observation.images.{c}": Feature("uint8", (*_SIZE, 3), is_image=True)
                for c in _CAMERAS
            },
        },
        spec=spec,
    )
    rng = np.random.default_rng(0)
    pool = tuple(picture(rng, _SIZE) for _ in range(8))
    path.unlink(missing_ok=True)
    writer = FORMATS["robomimic_hdf5"].create(path, description)
    for number in range(_DIFFERENT):
        columns = {
            key: rng.uniform(-0.04, 0.04, (_LENGTH, *feature.shape)).astype(np.float32)
            for key, feature in description.columns.items()
        }
        columns["action"][:, -1] = 0.0  # the gripper; at random it would be no valid data
        frames = {
            key: PooledFrames(pool, _LENGTH, number + 3 * place)
            for place, key in enumerate(description.images)
        }
        success = Success.NO if number % 3 == 1 else Success.YES
        writer.add(
            Recording(number, columns, frames, f"task {number % 2}", success, {"seed": number})
        )
    writer.close()
    with h5py.File(path, "r+") as file:  # copies, because encoding takes much longer
        data: Any = file["data"]
        for number in itertools.count(_DIFFERENT):
            if path.stat().st_size >= size:
                break
            file.copy(data[f"demo_{number % _DIFFERENT}"], data, f"demo_{number}")
            data.attrs["total"] += _LENGTH
            file.flush()


def steps(folder: Path) -> dict[str, Callable[[], Measured]]:
    """What is measured, by name; later ones may need what earlier ones wrote."""
    made, v3, bag = folder / "set.hdf5", folder / "v3", folder / "bag"

    def data(*words: str | Path) -> Callable[[], Measured]:
        return lambda: robot_policy("data", *words)

    return {
        "info": data("info", made),
        "filter": data("filter", made, "--where", "success", "--output", folder / "some.json"),
        "label": data(
            "label", folder / "some.json", "--episodes", "1-3", "--set", "quality=good",
            "--output", folder / "labelled.json",
        ),
        "split": data("split", made, "--output", folder / "parts"),
        "merge": data(
            "merge", folder / "parts/train.json", folder / "parts/test.json",
            "--output", folder / "both.json",
        ),
        "view": data(
            "view", made, "--episodes", "0-3", "--html", folder / "view.html",
            "--rrd", folder / "view.rrd",
        ),
        "validate": data("validate", made),
        "info --statistics": data("info", made, "--statistics", "--json", folder / "info.json"),
        "train, decoding into a cache": lambda: robot_policy(
            "train", "bc", "--dataset", made, "--cameras", *_CAMERAS, "--image-size", "84", "84",
            "--steps", "2", "--batch-size", "8", "--cache", folder / "cache",
            "--output", folder / "run",
        ),
        "convert HDF5 to v3.0": data("convert", made, v3, "--to", "lerobot_v3"),
        "convert v3.0 to v2.1": data("convert", v3, folder / "v21", "--to", "lerobot_v21"),
        "convert HDF5 to MCAP": data("convert", made, bag, "--to", "rosbag2_mcap"),
        "info of MCAP": data("info", bag),
    }  # fmt: skip


def measure(folder: Path, parts: Path, *, size: int) -> list[dict[str, Any]]:
    """Measures what is not measured yet; each goes into a file in `parts`."""
    made = folder / "set.hdf5"
    whole = folder / "made.json"  # there once the dataset is
    if not whole.exists():
        free = shutil.disk_usage(folder).free
        if free < 2.5 * size:
            raise SystemExit(f"data_memory: {folder}: {free / 1e9:.0f} GB free, too few")
        make(made, size)
        write_json(whole, {"bytes": made.stat().st_size})
    measured: list[dict[str, Any]] = []
    for name, run in steps(folder).items():
        part = parts / f"{name.replace(' ', '_').replace(',', '')}.json"
        if not part.exists():
            done = run()
            row = {
                "cell": f"memory/{name}",
                "peak_gb": done.peak_gb,
                "seconds": done.seconds,
                "dataset_gb": round(made.stat().st_size / 1e9, 2),
            }
            write_json(part, row)
        measured.append(read_json(part))
    return measured


def jobs() -> list[Job]:
    """All of it, one command after the other."""
    script = ("benchmarks/data_memory.py", "--output", str(RESULT.relative_to(ROOT)))
    return [Job("memory", script, RESULT, alone=True)]


def rows() -> list[dict[str, Any]]:
    """What is measured so far."""
    return [read_json(path) for path in sorted(PARTS.glob("*.json"))]


def targets(known: dict[str, dict[str, Any]]) -> list[Target]:
    """The command that takes the most."""
    names = list(steps(Path()))
    mine = [row for name in names if (row := known.get(f"memory/{name}")) is not None]
    complete = len(mine) == len(names)
    peak = max((row["peak_gb"] for row in mine), default=None)
    least = min((row["dataset_gb"] for row in mine), default=0.0)
    return [
        Target(
            "peak_memory",
            f"under {WANTED_GB:g} GB with any data command on a dataset of 20 GB "
            f"({len(mine)} of {len(names)} commands measured, whole process tree)",
            peak,
            "GB",
            complete and peak is not None and peak < WANTED_GB and least >= 0.99 * BYTES / 1e9,
            AGAIN,
        )
    ]


def main() -> int:
    """Measures all of it, and removes the dataset."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=RESULT)
    parser.add_argument("--folder", type=Path, help="for the dataset; 50 GB must be free")
    parser.add_argument("--gigabytes", type=float, default=BYTES / 1e9)
    arguments = parser.parse_args()
    folder = arguments.folder or Path(tempfile.gettempdir()) / "robot_policy_20_gb"
    folder.mkdir(exist_ok=True)
    size = round(arguments.gigabytes * 1e9)
    # Of a trial, which is no result, nothing is kept.
    measured = measure(folder, PARTS if size == BYTES else folder / "parts", size=size)
    write_json(arguments.output, measured)
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
