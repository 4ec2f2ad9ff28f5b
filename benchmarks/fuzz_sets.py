"""Small datasets of every format that the fuzzer damages, ours and of other writers."""

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from robot_policy.core.episode import Success
from robot_policy.core.robot import load_robot
from robot_policy.core.specs import image_spec
from robot_policy.data.curation.curated import Curated
from robot_policy.data.formats.registry import FORMATS
from robot_policy.data.formats.source_options import SourceOptions
from robot_policy.data.recording import Description, Feature, Recording

LENGTHS = (9, 5, 7)
"""Frames of the episodes; all differ, so that an exchange is seen."""
_ROBOT = "panda_twin"


@dataclass(frozen=True)
class FuzzSet:
    """A dataset, whole.

    Attributes:
        name: Of the row in the results.
        path: File or folder.
        target: Format that it is converted to.
        options: How it is read.
        arguments: The same for `data convert`.
        root: Folder that is copied and damaged, where that is not `path`.
        checked: Whether there are checksums over its numbers.
    """

    name: str
    path: Path
    target: str
    options: SourceOptions = field(default_factory=SourceOptions)
    arguments: tuple[str, ...] = ()
    root: Path | None = None
    checked: bool = True

    def inside(self, copied: Path) -> Path:
        """Where the dataset is in a copy of `root`."""
        return copied / self.path.relative_to(self.root) if self.root is not None else copied


def description(*, playable: bool = False) -> Description:
    """Everything a dataset may hold, as small as it can be.

    Args:
        playable: Whether a bag of it can be read by its topics, as that of a robot.
    """
    robot = load_robot(_ROBOT)
    cameras = {"wrist": image_spec(32, 48)}
    spec = robot.spec()
    features = {
        "observation.state": Feature("float32", spec.state.shape, spec.state.names),
        "action": Feature("float32", spec.action.shape, spec.action.names),
        "observation.images.wrist": Feature("uint8", (32, 48, 3), is_image=True),
        "observation.stamp_ns": Feature("int64", (1,)),
    }
    if not playable:
        cameras |= {"mask": image_spec(20, 30)}
        features |= {
            "observation.images.mask": Feature("uint8", (20, 30, 3), is_image=True, lossless=True),
            "observation.images.depth": Feature(
                "uint16", (24, 40, 1), is_image=True, lossless=True
            ),
            "observation.tactile": Feature("float64", (4, 5)),
            "observation.phase": Feature("string", (1,)),
            "next.reward": Feature("float32", (1,)),
            "task": Feature("string", (1,)),
        }
    spec = replace(spec, cameras=cameras)
    metadata = {"source": "a benchmark", "nested": {"list": [1, 2.5, None, "ü"]}}
    return Description(_ROBOT, 1.0 / spec.dt_s, features, spec=spec, metadata=metadata)


def recording(of: Description, number: int, length: int) -> Recording:
    """One episode of `description`; every number in it is drawn, every image is a texture."""
    rng = np.random.default_rng(number)
    tasks = [f"task {(number + (i > 2)) % 2}, “quoted”" for i in range(length)]
    columns: dict[str, NDArray[Any]] = {}
    frames: dict[str, NDArray[Any]] = {}
    for key, feature in of.features.items():
        shape = (length, *feature.shape)
        if feature.is_image:
            frames[key] = _images(rng, shape, feature)
        elif key == "observation.stamp_ns":
            period = round(1e9 / of.rate_hz)
            start = 1_700_000_000_000_000_000 + number * 100_000_000_000
            columns[key] = (start + period * np.arange(length, dtype=np.int64))[:, None]
        elif key == "task":
            columns[key] = np.array(tasks, dtype=object)[:, None]
        elif feature.dtype == "string":
            texts = [f"phase {i} of ü{number}" for i in range(length)]
            columns[key] = np.array(texts, dtype=object)[:, None]
        else:
            columns[key] = rng.uniform(-0.02, 0.02, shape).astype(feature.numpy_dtype)
    return Recording(
        index=number,
        columns=columns,
        frames=frames,
        task=tasks[0],
        success=(Success.YES, Success.NO, Success.UNKNOWN)[number % 3],
        metadata={"seed": number, "operator": "ü", "nested": {"quality": [1, None]}},
        where=f"episode {number}",
    )


def _images(rng: np.random.Generator, shape: tuple[int, ...], feature: Feature) -> NDArray[Any]:
    if feature.is_depth or feature.lossless:
        most = 2 ** (8 * feature.numpy_dtype.itemsize)
        return rng.integers(0, most, shape).astype(feature.numpy_dtype)
    t, y, x, c = np.mgrid[: shape[0], : shape[1], : shape[2], : shape[3]]
    phase = rng.uniform(0, 6)
    return (127 + 100 * np.sin(x / 5 + y / 7 + c + 0.7 * t + phase)).astype(np.uint8)


def write_sets(folder: Path, *, peers: bool = True) -> list[FuzzSet]:
    """Writes all of them.

    Args:
        folder: New.
        peers: Whether lerobot may be asked to write one, which takes seconds to import.
    """
    made: list[FuzzSet] = []
    targets = {
        "lerobot_v3": "lerobot_v21",
        "lerobot_v21": "robomimic_hdf5",
        "robomimic_hdf5": "lerobot_v3",
        "rosbag2_mcap": "robomimic_hdf5",
    }
    for name in FORMATS:
        path = folder / name / ("set.hdf5" if name == "robomimic_hdf5" else "set")
        _write(path, name, description())
        made.append(FuzzSet(name, path, targets[name]))
    made.append(_view(folder / "view", made[0].path))
    made.append(_robot_bag(folder / "bag_of_a_robot" / "set"))
    made.append(_theirs_hdf5(folder / "robomimic_theirs" / "set.hdf5"))
    if peers:
        made.append(_theirs_lerobot(folder / "lerobot_theirs" / "set"))
    return made


def _write(path: Path, name: str, of: Description) -> None:
    path.parent.mkdir(parents=True)
    writer = FORMATS[name].create(path, of)
    for number, length in enumerate(LENGTHS):
        writer.add(recording(of, number, length))
    writer.close()


def _view(folder: Path, source: Path) -> FuzzSet:
    """Two of the episodes of a dataset beside it."""
    import shutil

    folder.mkdir()
    shutil.copytree(source, folder / "set")
    curated = Curated.open(folder / "set")
    curated.view.select([2, 0]).save(folder / "view.json")
    return FuzzSet("view", folder / "view.json", "robomimic_hdf5", root=folder)


def _robot_bag(path: Path) -> FuzzSet:
    """A bag of ours, read by its topics as any robot's; nothing of the dataset is told then."""
    _write(path, "rosbag2_mcap", description(playable=True))
    return FuzzSet(
        "bag_of_a_robot",
        path,
        "lerobot_v3",
        options=SourceOptions(robot=_ROBOT),
        arguments=("--robot", _ROBOT, "--allow-loss"),
    )


def _theirs_hdf5(path: Path) -> FuzzSet:
    """As robomimic's own tools write it: no checksums, a mask, sensors one by one."""
    path.parent.mkdir()
    with h5py.File(path, "w") as file:
        data = file.create_group("data")
        data.attrs["total"] = sum(LENGTHS)
        env_args = {"env_name": "Lift", "type": 1, "env_kwargs": {"control_freq": 20}}
        data.attrs["env_args"] = json.dumps(env_args)
        for number, length in enumerate(LENGTHS):
            rng = np.random.default_rng(number)
            demo = data.create_group(f"demo_{number}")
            demo.attrs["num_samples"] = length
            demo.attrs["model_file"] = "<mujoco/>"
            for name, size in (("actions", 7), ("states", 12)):
                demo[name] = rng.uniform(-1, 1, (length, size))
            demo["rewards"] = np.zeros(length)
            demo["dones"] = np.arange(length) == length - 1
            for prefix in ("obs", "next_obs"):
                demo[f"{prefix}/robot0_eef_pos"] = rng.uniform(-1, 1, (length, 3))
                demo[f"{prefix}/robot0_eef_quat"] = rng.uniform(-1, 1, (length, 4))
                demo[f"{prefix}/object"] = rng.uniform(-1, 1, (length, 10))
                demo[f"{prefix}/agentview_image"] = rng.integers(
                    0, 256, (length, 16, 20, 3), dtype=np.uint8
                )
        file["mask/train"] = np.array([b"demo_0", b"demo_2"])
        file["mask/valid"] = np.array([b"demo_1"])
    return FuzzSet(
        "robomimic_theirs", path, "lerobot_v21", arguments=("--allow-loss",), checked=False
    )


def _theirs_lerobot(path: Path) -> FuzzSet:
    """By lerobot's own writer: all episodes in one file and one video per camera."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from lerobot.datasets.lerobot_dataset import LeRobotDataset
    path.parent.mkdir()
    theirs = LeRobotDataset.create(
        "local/set",
        fps=20,
        root=path,
        robot_type="so101",
        features={
            "observation.state": {"dtype": "float32", "shape": (3,), "names": ["x", "y", "z"]},
            "action": {"dtype": "float32", "shape": (2,), "names": ["dx", "gripper"]},
            "observation.images.wrist": {
                "dtype": "video",
                "shape": (32, 48, 3),
                "names": ["height", "width", "channels"],
            },
        },
        use_videos=True,
    )
    texture = Feature("uint8", (32, 48, 3), is_image=True)
    for number, length in enumerate(LENGTHS):
        rng = np.random.default_rng(number)
        images = _images(rng, (length, 32, 48, 3), texture)
        for image in images:
            theirs.add_frame(
                {
                    "observation.state": rng.normal(size=3).astype(np.float32),
                    "action": rng.normal(size=2).astype(np.float32),
                    "observation.images.wrist": image,
                    "task": f"task {number % 2}",
                }
            )
        theirs.save_episode()
    theirs.finalize()
    return FuzzSet("lerobot_theirs", path, "lerobot_v21", checked=False)
