"""The latest message of every topic, and the observation that they make together."""

import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.observation import Observation
from robot_policy.core.robot import RobotDescription
from robot_policy.core.specs import PolicySpec

JOINT_STATES = "joint_states"
EE_POSE = "ee_pose"
ENVIRONMENT_STATE = "environment_state"

_KEPT = 4
"""Messages kept per topic, enough to find the image that was there when the joints were read."""


@dataclass(frozen=True, slots=True)
class Joints:
    """Arm joints (J,) [rad] in the order of the description, and the finger position [m]."""

    positions: NDArray[np.float64]
    gripper_m: float


@dataclass(frozen=True, slots=True)
class Pose:
    """End effector in the base frame: position (3,) [m], rotation (3, 3)."""

    position: NDArray[np.floating[Any]]
    R: NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True)
class _Stamped:
    value: Any
    stamp_ns: int


class Inputs:
    """Holds what arrived and judges whether it may be acted upon.

    The joint state sets the moment of an observation. The pose must have been measured within
    half a control period of it; an image or the privileged state is the newest that is not
    younger (as-of, never from the future). Everything must be younger than `max_age_ns`.

    Callbacks put, the control thread takes; every method may be called from any thread.

    Args:
        robot: Builds the state vector.
        spec: Of the policy; names the inputs that are needed.
        max_age_ns: Oldest stamp that may be acted upon [ns].
        instruction: Task text.
    """

    def __init__(
        self, robot: RobotDescription, spec: PolicySpec, *, max_age_ns: int, instruction: str
    ) -> None:
        self.instruction = instruction
        self._robot = robot
        self._cameras = tuple(spec.cameras)
        self._names = (JOINT_STATES, EE_POSE, *self._cameras)
        if spec.environment_state is not None:
            self._names = (*self._names, ENVIRONMENT_STATE)
        self._max_age_ns = max_age_ns
        self._skew_ns = round(0.5e9 * robot.dt_s)
        self._not_before_ns = 0
        self._kept: dict[str, deque[_Stamped]] = {n: deque(maxlen=_KEPT) for n in self._names}
        self._rejected: dict[str, str] = {}
        self._lock = threading.Lock()

    def clear(self, *, not_before_ns: int) -> None:
        """Forgets everything, and from now on ignores what was measured earlier than that."""
        with self._lock:
            self._not_before_ns = not_before_ns
            self._rejected.clear()
            for kept in self._kept.values():
                kept.clear()

    def put(self, name: str, value: object, *, stamp_ns: int) -> None:
        """Adds a value: `Joints`, `Pose`, a vector or an image, under the name of its input."""
        with self._lock:
            if stamp_ns < self._not_before_ns:
                return
            self._rejected.pop(name, None)
            self._kept[name].append(_Stamped(value, stamp_ns))

    def reject(self, name: str, reason: str) -> None:
        """Drops an input whose last message could not be read, until a good one arrives."""
        with self._lock:
            self._rejected[name] = reason
            self._kept[name].clear()

    def problems(self, now_ns: int) -> tuple[str, ...]:
        """Says for every input what keeps it from being used; empty where all is well."""
        with self._lock:
            found = ((name, self._problem(name, now_ns)) for name in self._names)
            return tuple(f"{name}: {problem}" for name, problem in found if problem)

    def ages_s(self, now_ns: int) -> Mapping[str, float]:
        """Age of the newest message of every input that has one [s]."""
        with self._lock:
            return {n: (now_ns - k[-1].stamp_ns) * 1e-9 for n, k in self._kept.items() if k}

    def observation(self, now_ns: int) -> Observation | None:
        """Returns the newest observation, None where an input is missing, old or not in step."""
        with self._lock:
            if any(self._problem(name, now_ns) for name in self._names):
                return None
            joints, pose = self._kept[JOINT_STATES][-1], self._kept[EE_POSE][-1]
            if abs(joints.stamp_ns - pose.stamp_ns) > self._skew_ns:
                return None
            images = {name: self._as_of(name, joints.stamp_ns) for name in self._cameras}
            if any(image is None for image in images.values()):
                return None
            privileged = None
            if ENVIRONMENT_STATE in self._names:
                privileged = self._kept[ENVIRONMENT_STATE][-1].value.astype(np.float32)
            return Observation(
                stamp_ns=joints.stamp_ns,
                state=self._state(joints.value, pose.value),
                environment_state=privileged,
                images={name: image for name, image in images.items() if image is not None},
                instruction=self.instruction,
            )

    def state(self) -> NDArray[np.float32] | None:
        """Returns the last known state (S,), however old; None if there was none yet."""
        with self._lock:
            joints, pose = self._kept[JOINT_STATES], self._kept[EE_POSE]
            if not joints or not pose:
                return None
            return self._state(joints[-1].value, pose[-1].value)

    def _problem(self, name: str, now_ns: int) -> str | None:
        if name in self._rejected:
            return self._rejected[name]
        if not self._kept[name]:
            return "no message"
        age_ns = now_ns - self._kept[name][-1].stamp_ns
        return f"{age_ns * 1e-9:.2f} s old" if age_ns > self._max_age_ns else None

    def _as_of(self, name: str, stamp_ns: int) -> NDArray[np.uint8] | None:
        values = (s.value for s in reversed(self._kept[name]) if s.stamp_ns <= stamp_ns)
        return next(values, None)

    def _state(self, joints: Joints, pose: Pose) -> NDArray[np.float32]:
        return self._robot.proprioception(
            joint_positions=joints.positions,
            gripper_m=joints.gripper_m,
            ee_position=pose.position,
            base_R_ee=pose.R,
        )
