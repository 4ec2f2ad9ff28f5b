"""Where a camera is, as its calibration says: what descriptions, datasets and checkpoints keep."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self, cast

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.errors import ConfigError
from robot_policy.core.geometry import (
    inverse,
    matrix_from_quat,
    quat_from_matrix,
    rotvec_from_matrix,
    transform,
)

_WORTH_SAYING_MM, _WORTH_SAYING_DEG = 1.0, 0.1
_TOLERANCE = 1e-3


@dataclass(frozen=True, slots=True)
class CameraCalibration:
    """The pose of a camera's optical frame.

    Attributes:
        parent: Frame that it is fixed to: the robot's base, or its end effector.
        position: Of the camera in that frame [m].
        quat_wxyz: Its orientation.
        digest: SHA-256 of the file it was read from.
    """

    parent: str
    position: tuple[float, float, float]
    quat_wxyz: tuple[float, float, float, float]
    digest: str

    @property
    def parent_T_camera(self) -> NDArray[np.floating]:  # noqa: N802, a transform
        """(4, 4) [m]."""
        return transform(matrix_from_quat(np.array(self.quat_wxyz)), np.array(self.position))

    @classmethod
    def of(cls, parent: str, parent_T_camera: NDArray[np.floating], *, digest: str) -> Self:
        """Builds it from a transform (4, 4) [m]."""
        x, y, z = map(float, parent_T_camera[:3, 3])
        w, i, j, k = map(float, quat_from_matrix(parent_T_camera[:3, :3]))
        return cls(parent, (x, y, z), (w, i, j, k), digest)

    @classmethod
    def read(cls, path: Path, *, base_frame: str, ee_frame: str, camera: str = "camera") -> Self:
        """Reads the result of a calibration, JSON or YAML.

        Args:
            path: A file with ``values.base_T_camera`` or ``values.gripper_T_camera``, 4 x 4 rows;
                in a result of several cameras their names are in place of ``camera``.
            base_frame: Name of the robot's base.
            ee_frame: Name of its end effector.
            camera: Name of the camera.

        Raises:
            ConfigError: If the file is missing or holds neither.
        """
        values = _values(path)
        names = dict.fromkeys(["camera", camera])
        parents = {
            f"{frame}_T_{name}": parent
            for name in names
            for frame, parent in (("base", base_frame), ("gripper", ee_frame))
        }
        for name, parent in parents.items():
            if name in values:
                pose = _pose(values[name], where=path, name=name)
                return cls.of(parent, pose, digest=hashlib.sha256(path.read_bytes()).hexdigest())
        raise ConfigError(
            "says of no camera where it is", where=path, expected=" or ".join(parents)
        )

    def to_json(self) -> dict[str, Any]:
        """Returns a JSON-ready dict."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Inverse of `to_json`."""
        x, y, z = map(float, data["position"])
        w, i, j, k = map(float, data["quat_wxyz"])
        return cls(str(data["parent"]), (x, y, z), (w, i, j, k), str(data["digest"]))

    def distance(self, other: Self) -> tuple[float, float]:
        """How far two poses in the same frame are apart: [mm] and [deg]."""
        a_T_b = inverse(self.parent_T_camera) @ other.parent_T_camera
        angle = float(np.linalg.norm(rotvec_from_matrix(a_T_b[:3, :3])))
        return 1e3 * float(np.linalg.norm(a_T_b[:3, 3])), float(np.rad2deg(angle))


def calibration_changes(
    then: Mapping[str, CameraCalibration], now: Mapping[str, CameraCalibration]
) -> list[str]:
    """Says what changed between two sets of calibrations by camera, one sentence each.

    Args:
        then: What a policy was trained with.
        now: What the robot's description says.
    """
    changes: list[str] = []
    for camera, before in then.items():
        after = now.get(camera)
        if after is None:
            changes.append(
                f"camera {camera} was calibrated when the policy's data was recorded, and the "
                "robot description refers to no calibration of it"
            )
        elif after.digest != before.digest:
            changes += _change(camera, before, after)
    return changes


def _change(camera: str, before: CameraCalibration, after: CameraCalibration) -> list[str]:
    if before.parent != after.parent:
        return [f"camera {camera} was fixed to {before.parent}, and now is to {after.parent}"]
    mm, deg = before.distance(after)
    if mm < _WORTH_SAYING_MM and deg < _WORTH_SAYING_DEG:
        return []
    return [
        f"camera {camera} is {mm:.1f} mm and {deg:.2f} deg from where it was when the policy's "
        "data was recorded"
    ]


def _values(path: Path) -> Mapping[str, Any]:
    try:
        text = path.read_text()
        if path.suffix == ".json":
            data = json.loads(text)
        else:
            import yaml  # only who reads a calibration needs it

            data = yaml.safe_load(text)
    except FileNotFoundError as error:
        raise ConfigError("no such calibration", where=path) from error
    except Exception as error:  # YAML, JSON and files have no common class
        raise ConfigError("not a calibration", where=path, got=error) from error
    values = cast("dict[str, Any]", data).get("values") if isinstance(data, dict) else None
    if not isinstance(values, dict):
        raise ConfigError("not a calibration", where=path, expected="a mapping with 'values'")
    return cast("dict[str, Any]", values)


def _pose(value: Any, *, where: Path, name: str) -> NDArray[np.float64]:
    try:
        pose = np.array(value, dtype=np.float64).reshape(4, 4)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{name} is no 4 x 4 matrix", where=where, got=error) from error
    R = pose[:3, :3]
    orthogonal = np.abs(R @ R.T - np.eye(3)).max() < _TOLERANCE and np.linalg.det(R) > 0
    if not (np.isfinite(pose).all() and orthogonal and np.allclose(pose[3], (0, 0, 0, 1))):
        raise ConfigError(f"{name} is no rigid transform", where=where, got=pose.tolist())
    return pose
