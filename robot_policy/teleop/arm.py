"""An arm that is driven by hand, wherever it is: in the twin, or behind topics."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.observation import Observation
from robot_policy.core.robot import RobotDescription
from robot_policy.core.specs import PolicySpec


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """Where a camera is and what its lens does, without distortion.

    Attributes:
        base_T_camera: (4, 4) of the optical frame [m].
        intrinsics: (3, 3) [px].
        height: Of the pictures that the intrinsics are of [px].
        width: [px].
    """

    base_T_camera: NDArray[np.floating]
    intrinsics: NDArray[np.floating]
    height: int
    width: int

    def project(self, points: NDArray[np.floating]) -> NDArray[np.floating]:
        """Returns (..., 2) places in the picture, 0 .. 1 from its upper left corner.

        Args:
            points: (..., 3) in the base frame [m]; NaN comes of what lies behind the camera.
        """
        R, t = self.base_T_camera[:3, :3], self.base_T_camera[:3, 3]
        seen = (points - t) @ R
        depth = np.where(seen[..., 2:] > 1e-3, seen[..., 2:], np.nan)
        pixels = (seen @ self.intrinsics.T)[..., :2] / depth
        return (pixels + 0.5) / np.array([self.width, self.height])


class TeleopArm(Protocol):
    """An arm and its cameras; used from one thread."""

    @property
    def robot(self) -> RobotDescription:
        """Its description."""
        ...

    @property
    def spec(self) -> PolicySpec:
        """Of what its observations hold."""
        ...

    @property
    def shown(self) -> tuple[str, ...]:
        """Cameras that `picture` knows."""
        ...

    @property
    def can_reset(self) -> bool:
        """Whether `reset` puts the scene back."""
        ...

    @property
    def solved(self) -> bool | None:
        """Whether the task is reached; None where nobody can tell."""
        ...

    def observe(self) -> tuple[Observation | None, str]:
        """Returns the newest observation, or None and why there is none."""
        ...

    def send(self, action: NDArray[np.float32]) -> None:
        """Sends an action (A,). A simulated arm executes it."""
        ...

    def reset(self, start: int) -> None:
        """Puts the scene back to its start of that number."""
        ...

    def picture(self, camera: str) -> NDArray[np.uint8] | None:
        """Returns the newest picture (h, w, 3) for a person to look at; None if there is none."""
        ...

    def view(self, camera: str) -> View | None:
        """Returns where a camera is; None where nobody knows."""
        ...

    def close(self) -> None:
        """Releases what it holds."""
        ...
