"""The folder that a capture fills, and goes on filling after it was stopped."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from calibration.board import Board
from calibration.camera_info import write_camera_info
from calibration.lens import Lens
from calibration.samples import (
    CAMERA,
    IMAGES,
    POSES,
    Sample,
    SampleSet,
    append_sample,
    load_samples,
)
from robot_policy.capture.arm import Picture, Reading
from robot_policy.core.errors import ConfigError
from robot_policy.core.files import read_json, require_new_folder, write_json
from robot_policy.core.robot import RobotDescription

SETTINGS = "capture.json"
BOARD = "board.yaml"


@dataclass(frozen=True, slots=True)
class CaptureSettings:
    """What all samples of a folder have in common.

    Attributes:
        robot: Name of the description.
        mounting: Where the cameras are.
        cameras: Their names in the description.
        board: Entries of the board.
    """

    robot: str
    mounting: str
    cameras: tuple[str, ...]
    board: Mapping[str, object]

    @classmethod
    def of(
        cls, robot: RobotDescription, mounting: str, cameras: tuple[str, ...], board: Board
    ) -> "CaptureSettings":
        """Builds them."""
        return cls(robot.name, mounting, cameras, asdict(board) | {"kind": board.kind.value})


class CaptureFolder:
    """Samples as they are taken: ``poses.jsonl`` and images, the board, the cameras' intrinsics.

    Args:
        folder: New, or of a capture with the same settings, which is gone on with.
        settings: What the samples have in common.

    Raises:
        ConfigError: If the folder holds something else, or a capture with other settings.
    """

    def __init__(self, folder: Path, settings: CaptureSettings) -> None:
        self.folder = folder
        self._settings = settings
        self._check()

    def begin(self, board: Board, lenses: Mapping[str, Lens | None]) -> None:
        """Writes what all samples have in common; nothing is written before."""
        self.folder.mkdir(parents=True, exist_ok=True)
        board.save(self.folder / BOARD)
        for camera, lens in lenses.items():
            if lens is not None:
                write_camera_info(self.folder / f"{camera}.yaml", lens, camera=camera)
        write_json(self.folder / SETTINGS, asdict(self._settings))

    @property
    def taken(self) -> SampleSet:
        """The samples so far."""
        path = self.folder / POSES
        if not path.is_file() or b"\n" not in path.read_bytes():
            return SampleSet(self.folder, ())
        return load_samples(self.folder)

    def key(self, camera: str) -> str:
        """What a camera is called in the samples: by its name only where there are several."""
        return camera if len(self._settings.cameras) > 1 else CAMERA

    def take(
        self, robot: RobotDescription, reading: Reading, pictures: Mapping[str, Picture]
    ) -> None:
        """Adds a sample; a kill meanwhile leaves the folder as it was."""
        number = len(self.taken.samples)
        names: dict[str, str] = {}
        images: dict[str, NDArray[np.uint8]] = {}
        for camera, picture in pictures.items():
            prefix = f"{camera}_" if len(pictures) > 1 else ""
            names[self.key(camera)] = f"{IMAGES}/{prefix}{number:06d}.png"
            images[names[self.key(camera)]] = picture.pixels
        sample = Sample(
            stamp_ns=next(iter(pictures.values())).stamp_ns,
            images=names,
            joints=dict(zip(robot.joint_names, map(float, reading.joints), strict=True)),
            base_T_gripper=reading.base_T_ee,
            joint_stamp_ns=reading.stamp_ns,
        )
        append_sample(self.folder, sample, images=dict(images))

    def _check(self) -> None:
        path = self.folder / SETTINGS
        if not path.is_file():
            require_new_folder(self.folder)
            return
        before, now = read_json(path), asdict(self._settings)
        now["cameras"] = list(now["cameras"])
        for name, value in now.items():
            if before.get(name) != value:
                raise ConfigError(
                    f"samples were captured with another {name}",
                    where=self.folder,
                    expected=before.get(name),
                    got=value,
                    hint="choose another --output",
                )
