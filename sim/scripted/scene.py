"""What a scripted expert looks at: the entries of an observation, by name."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.errors import SpecError
from robot_policy.core.geometry import matrix_from_rot6d
from robot_policy.core.observation import ENVIRONMENT_STATE, Observation
from sim.envs.task import Task

# The state ends with: gripper, end-effector position (3), end-effector 6-D rotation.
_GRIPPER = -10
_POSITION = slice(-9, -6)
_ROTATION = slice(-6, None)

_POSE_SIZE = 9
"""Entries of one object in ``observation.environment_state``: position and 6-D rotation."""


@dataclass(frozen=True, slots=True, eq=False)
class Pose:
    """Position [m] and orientation in the base frame."""

    position: NDArray[np.floating]
    R: NDArray[np.floating]

    @property
    def yaw(self) -> float:
        """Heading of the x axis about the vertical [rad]."""
        return float(np.arctan2(self.R[1, 0], self.R[0, 0]))

    @property
    def upright(self) -> float:
        """Cosine of the angle between its z axis and the vertical."""
        return float(self.R[2, 2])


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """An observation, by name.

    Attributes:
        ee: Pose of the end effector.
        closed: Gripper, 0 open to 1 closed.
        objects: Poses of the objects of the task.
    """

    ee: Pose
    closed: float
    objects: Mapping[str, Pose]

    @classmethod
    def read(cls, observation: Observation, task: Task) -> Self:
        """Takes an observation of `task` apart.

        Raises:
            SpecError: If it carries no privileged state.
        """
        if observation.environment_state is None:
            raise SpecError("a scripted expert needs the poses of objects", where=ENVIRONMENT_STATE)
        state = np.asarray(observation.state, dtype=np.float64)
        objects = np.asarray(observation.environment_state, dtype=np.float64)
        return cls(
            ee=Pose(state[_POSITION], matrix_from_rot6d(state[_ROTATION])),
            closed=float(state[_GRIPPER]),
            objects={
                name: _pose(objects[i * _POSE_SIZE : (i + 1) * _POSE_SIZE])
                for i, name in enumerate(task.objects)
            },
        )


def _pose(entries: NDArray[np.floating]) -> Pose:
    return Pose(entries[:3], matrix_from_rot6d(entries[3:]))
