"""A folder of images with the joints and poses of the arm they were taken at.

    <folder>/
      poses.jsonl        one line per sample
      images/…           PNG or JPEG files

A line of ``poses.jsonl``::

    {"stamp_ns": 1700000000000000000,
     "image": "images/000000.png",
     "joints": {"panda_joint1": 0.1, …},
     "base_T_gripper": {"position": [x, y, z], "quat_wxyz": [w, x, y, z]}}

``image`` is for a rig of one camera, which is then called ``camera``; several have
``"images": {"wrist": "images/wrist_000000.png", …}``. ``base_T_gripper`` may also be a 4 x 4 list
of rows [m], or hold ``rotvec_rad`` in place of the quaternion. Only ``stamp_ns`` must be there: a
line without image records joints alone (a motion for the time offset), one without joints and pose
an image alone (for intrinsics). Where images and joints have stamps of their own,
``joint_stamp_ns`` holds the latter. A line counts once it ends in a newline, so that a capture that
is cut off loses the sample in progress at most.
"""

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from calibration.pose_text import pose_from_json, pose_to_json
from robot_policy.core.errors import DataError, UnknownNameError
from robot_policy.core.files import new_folder, replacing

POSES = "poses.jsonl"
IMAGES = "images"
CAMERA = "camera"
"""Name of the only camera of a rig that has one."""

type Array = NDArray[np.floating]
type Image = NDArray[np.uint8] | NDArray[np.uint16]


@dataclass(frozen=True, slots=True)
class Sample:
    """What was known at one moment.

    Attributes:
        stamp_ns: When the images were exposed, or the joints read if there are none [ns].
        images: Camera name to file, relative to the folder.
        joints: Joint name to position [rad].
        base_T_gripper: (4, 4) pose of the gripper flange or tool in the base [m], or None.
        joint_stamp_ns: When joints and pose were read [ns].
    """

    stamp_ns: int
    images: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    joints: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    base_T_gripper: Array | None = None
    joint_stamp_ns: int | None = None

    @property
    def pose_stamp_ns(self) -> int:
        """When joints and pose were read [ns]."""
        return self.stamp_ns if self.joint_stamp_ns is None else self.joint_stamp_ns


@dataclass(frozen=True, slots=True)
class SampleSet:
    """The samples of one folder, in the order they were taken."""

    folder: Path
    samples: tuple[Sample, ...]

    @property
    def cameras(self) -> tuple[str, ...]:
        """Names of the cameras, in the order they first appear."""
        return tuple(dict.fromkeys(name for s in self.samples for name in s.images))

    def image_paths(self, camera: str) -> tuple[Path, ...]:
        """Files of one camera, samples without one left out.

        Raises:
            UnknownNameError: If no sample has that camera.
        """
        if camera not in self.cameras:
            raise UnknownNameError.of("camera", camera, self.cameras, where=self.folder)
        return tuple(self.folder / s.images[camera] for s in self.samples if camera in s.images)


def load_samples(folder: Path) -> SampleSet:
    """Reads ``poses.jsonl``; images are read when they are needed.

    Raises:
        DataError: If the file is missing or empty, or names the line that is wrong.
    """
    path = folder / POSES
    if not path.is_file():
        raise DataError("no samples here", where=folder, expected=f"a folder with {POSES}")
    text = path.read_text()
    lines = text[: text.rfind("\n") + 1].splitlines()
    samples = [
        _parse(line, folder, where=f"{path}:{number}")
        for number, line in enumerate(lines, start=1)
        if line.strip()
    ]
    if not samples:
        raise DataError("holds no samples", where=path)
    return SampleSet(folder, tuple(samples))


def save_samples(
    folder: Path, samples: Iterable[Sample], *, images: Mapping[str, Image] | None = None
) -> SampleSet:
    """Writes a new folder, whole or not at all.

    Args:
        folder: Where; must not hold anything.
        samples: In the order they were taken.
        images: File, as samples name it, to pixels: (h, w) or (h, w, 3) RGB.

    Raises:
        ConfigError: If `folder` holds something.
        DataError: If a sample names an image that is not in `images`.
    """
    kept = tuple(samples)
    given = images or {}
    missing = [n for s in kept for n in s.images.values() if n not in given]
    if missing:
        raise DataError("no pixels for an image of a sample", where=folder, got=missing[0])
    with new_folder(folder) as built:
        built.mkdir()
        for name, pixels in given.items():
            write_image(built / name, pixels)
        (built / POSES).write_text("".join(f"{_line(sample)}\n" for sample in kept))
    return SampleSet(folder, kept)


def append_sample(
    folder: Path, sample: Sample, *, images: Mapping[str, Image] | None = None
) -> None:
    """Adds one sample to a folder, which is made if it is not there.

    Images first, the line last and on disk: what a kill leaves is a sample less, not half of one.

    Raises:
        DataError: If `images` lacks a file that the sample names.
    """
    given = images or {}
    missing = [name for name in sample.images.values() if name not in given]
    if missing:
        raise DataError("no pixels for an image of a sample", where=folder, got=missing[0])
    folder.mkdir(parents=True, exist_ok=True)
    for name, pixels in given.items():
        write_image(folder / name, pixels)
    _drop_cut_line(folder / POSES)
    with (folder / POSES).open("a") as file:
        file.write(f"{_line(sample)}\n")
        file.flush()
        os.fsync(file.fileno())


def write_image(path: Path, pixels: Image) -> None:
    """Writes (h, w) or (h, w, 3) RGB pixels, whole or not at all.

    Raises:
        DataError: If the format cannot hold them.
    """
    order = pixels if pixels.ndim == 2 else cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    with replacing(path) as temporary:
        if not cv2.imwrite(str(temporary), order):
            raise DataError("cannot be written as an image", where=path, got=pixels.dtype)


def read_image(path: Path) -> Image:
    """Reads an image as it is stored: (h, w) or (h, w, 3) RGB, 8 or 16 bits.

    Raises:
        DataError: If the file is missing or no image.
    """
    if not path.is_file():
        raise DataError("no such image", where=path)
    pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise DataError("not a readable image", where=path)
    if pixels.ndim == 3:
        code = cv2.COLOR_BGRA2RGB if pixels.shape[2] == 4 else cv2.COLOR_BGR2RGB
        pixels = cv2.cvtColor(pixels, code)
    return pixels  # type: ignore[return-value]


def _parse(line: str, folder: Path, *, where: str) -> Sample:
    try:
        data = json.loads(line)
    except ValueError as error:
        raise DataError("not a line of JSON", where=where, got=error) from error
    if not isinstance(data, dict) or not isinstance(data.get("stamp_ns"), int):
        raise DataError("not a sample", where=where, expected="an object with integer stamp_ns")
    unknown = set(data) - _KEYS
    if unknown:
        raise UnknownNameError.of("entry", min(unknown), _KEYS, where=where)
    try:
        images = dict(data.get("images") or {})
        if data.get("image"):
            images = {CAMERA: data["image"], **images}
        joints = {str(k): float(v) for k, v in (data.get("joints") or {}).items()}
        stamp = data.get("joint_stamp_ns")
        joint_stamp_ns = None if stamp is None else int(stamp)
    except (TypeError, ValueError, AttributeError) as error:
        raise DataError("a wrong entry", where=where, got=error) from error
    for name in images.values():
        if not isinstance(name, str) or not (folder / name).is_file():
            raise DataError("no such image", where=where, got=name)
    pose = data.get("base_T_gripper")
    return Sample(
        stamp_ns=data["stamp_ns"],
        images=images,
        joints=joints,
        base_T_gripper=None if pose is None else pose_from_json(pose, where=where),
        joint_stamp_ns=joint_stamp_ns,
    )


_KEYS = {"stamp_ns", "image", "images", "joints", "base_T_gripper", "joint_stamp_ns"}


def _line(sample: Sample) -> str:
    data: dict[str, Any] = {"stamp_ns": int(sample.stamp_ns)}
    if set(sample.images) == {CAMERA}:
        data["image"] = sample.images[CAMERA]
    elif sample.images:
        data["images"] = dict(sample.images)
    if sample.joints:
        data["joints"] = {name: float(value) for name, value in sample.joints.items()}
    if sample.base_T_gripper is not None:
        data["base_T_gripper"] = pose_to_json(sample.base_T_gripper)
    if sample.joint_stamp_ns is not None:
        data["joint_stamp_ns"] = int(sample.joint_stamp_ns)
    return json.dumps(data, allow_nan=False)


def _drop_cut_line(path: Path) -> None:
    """Removes what a capture that was cut off left behind its last newline."""
    if not path.is_file():
        return
    whole = path.read_bytes()
    end = whole.rfind(b"\n") + 1
    if end < len(whole):
        os.truncate(path, end)
