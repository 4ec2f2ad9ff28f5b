"""Which pictures can be used: board poses from single pictures, misread boards left out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from calibration.board_pose import BoardPose, board_pose
from calibration.detection import Detection
from calibration.hand_eye.data import HandEyeData
from robot_policy.core.errors import DataError

_MISREAD_PX = 1.0
_MISREAD_TIMES = 5.0
_HOPELESS_PX = 4.0


@dataclass(frozen=True, slots=True)
class Sights:
    """The poses at which a board was seen, and where.

    Attributes:
        data: Poses with at least one usable picture.
        by_camera: By camera, one per pose of `data`, None where there is no usable picture.
        rows: (n,) which of the given poses they are.
        notes: What was left out, one sentence each.
    """

    data: HandEyeData
    by_camera: Mapping[str, Sequence[BoardPose | None]]
    rows: NDArray[np.int64]
    notes: tuple[str, ...]


def find_sights(given: HandEyeData) -> Sights:
    """Finds the board in every detection and leaves out what cannot be one.

    Raises:
        DataError: If most pictures of a camera do not fit board and intrinsics.
    """
    notes: list[str] = []
    usable: dict[str, list[BoardPose | None]] = {}
    detections: dict[str, list[Detection | None]] = {}
    for camera in given.cameras:
        lens = given.lenses[camera]
        poses = [
            None if seen is None else board_pose(given.board, lens, seen)
            for seen in given.detections[camera]
        ]
        bad = _misread(poses, camera=camera)
        notes += _notes(given, camera, poses, bad)
        usable[camera] = [None if i in bad else pose for i, pose in enumerate(poses)]
        detections[camera] = [
            None if pose is None else seen
            for pose, seen in zip(usable[camera], given.detections[camera], strict=True)
        ]
    rows = np.array(
        [i for i in range(len(given.labels)) if any(p[i] is not None for p in usable.values())],
        dtype=np.int64,
    )
    data = replace(given, detections=detections).chosen(rows)
    by_camera = {camera: [poses[i] for i in rows] for camera, poses in usable.items()}
    return Sights(data, by_camera, rows, tuple(notes))


def _notes(
    given: HandEyeData, camera: str, poses: Sequence[BoardPose | None], bad: Sequence[int]
) -> list[str]:
    said = "the corners in the picture of"
    notes = [f"{given.labels[i]}: {said} {camera} do not lie as on the board" for i in bad]
    lost = [
        i
        for i, (pose, seen) in enumerate(zip(poses, given.detections[camera], strict=True))
        if pose is None and seen is not None
    ]
    return notes + [f"{given.labels[i]}: {said} {camera} are no board in sight" for i in lost]


def _misread(poses: Sequence[BoardPose | None], *, camera: str) -> list[int]:
    rms = {i: pose.rms_px for i, pose in enumerate(poses) if pose is not None}
    if not rms:
        return []
    usual = float(np.median(list(rms.values())))
    if usual > _HOPELESS_PX:
        raise DataError(
            "the corners do not lie as on the board",
            where=camera,
            expected="under a pixel apart",
            got=f"{usual:.1f} px in a typical picture",
            hint="another board than the one named (rows and columns swapped?), or the "
            "intrinsics of another camera",
        )
    limit = max(_MISREAD_PX, _MISREAD_TIMES * usual)
    return [i for i, value in rms.items() if value > limit]
