"""Forward kinematics of an arm, for many configurations at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from calibration.urdf import UrdfJoint, urdf_joints
from robot_policy.core.errors import ConfigError, DataError, UnknownNameError
from robot_policy.core.geometry import matrix_from_rotvec, transform

type Array = NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class Chain:
    """The joints from the base of an arm to its tip.

    Attributes:
        steps: In order, fixed ones too.
    """

    steps: tuple[UrdfJoint, ...]

    @property
    def joints(self) -> tuple[str, ...]:
        """Names of the joints that move, in order."""
        return tuple(step.name for step in self.steps if step.kind != "fixed")

    def forward(self, positions: Array) -> Array:
        """base_T_tip (..., 4, 4) for positions (..., J) in the order of `joints` [rad, or m]."""
        pose, column = np.eye(4), 0
        for step in self.steps:
            pose = pose @ step.parent_T_joint
            if step.kind == "fixed":
                continue
            along = (step.factor * positions[..., column, None] + step.offset) * step.axis
            column += 1
            if step.kind == "prismatic":
                pose = pose @ transform(np.eye(3), along)
            else:
                pose = pose @ transform(matrix_from_rotvec(along), np.zeros(3))
        return pose

    def positions(self, joints: Sequence[Mapping[str, float]], *, where: object) -> Array:
        """Positions (n, J) in the order of `joints`, found by name.

        Raises:
            DataError: If one is missing.
        """
        for name in self.joints:
            if any(name not in known for known in joints):
                valid = sorted({known for one in joints for known in one})
                raise DataError(f"no position of joint {name!r}", where=where, valid=valid)
        return np.array([[known[name] for name in self.joints] for known in joints])


def load_chain(path: Path, *, tip: str, base: str = "") -> Chain:
    """Reads the joints of a URDF from the link `base`, the root if "", to the link `tip`.

    Raises:
        ConfigError: If the file is missing or no URDF, or `tip` does not hang on `base`.
        UnknownNameError: If there is no such link.
    """
    joints = urdf_joints(path)
    links = {link for joint in joints for link in (joint.parent, joint.child)}
    for name in (tip, *([base] if base else [])):
        if name not in links:
            raise UnknownNameError.of("link", name, links, where=path)
    above = {joint.child: joint for joint in joints}
    steps: list[UrdfJoint] = []
    link = tip
    while link in above and link != base:
        steps.insert(0, above[link])
        link = above[link].parent
    if base and link != base:
        raise ConfigError(f"{tip!r} does not hang on {base!r}", where=path)
    return Chain(tuple(steps))
