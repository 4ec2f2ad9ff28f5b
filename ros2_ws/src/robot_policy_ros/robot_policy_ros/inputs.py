"""The latest messages of every topic, and the observation that they make together."""

import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.observation import GOAL_CAMERA, Observation
from robot_policy.core.robot import RobotDescription
from robot_policy.core.specs import PolicySpec
from robot_policy_ros.input_ages import InputAges

JOINT_STATES = "joint_states"
EE_POSE = "ee_pose"
ENVIRONMENT_STATE = "environment_state"
INSTRUCTION = "instruction"

_KEPT = 16
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


def input_names(spec: PolicySpec) -> tuple[str, ...]:
    """Returns the inputs with stamps that a policy needs; the goal is none, it does not age."""
    cameras = tuple(name for name in spec.cameras if name != GOAL_CAMERA)
    privileged = () if spec.environment_state is None else (ENVIRONMENT_STATE,)
    return (JOINT_STATES, EE_POSE, *cameras, *privileged)


class Inputs:
    """Holds what arrived and judges whether it may be acted upon.

    The newest joint state sets the moment of an observation. The pose must have been measured
    within half a control period of it; an image is the newest that is not younger (as-of, never
    from the future). The privileged state has no time of its own and is the newest. Everything
    must be younger than its limit.

    Callbacks put, the control thread takes; every method may be called from any thread.

    Args:
        robot: Builds the state vector.
        spec: Of the policy; names the inputs that are needed.
        max_age_ns: Oldest stamp that may be acted upon [ns], or a limit per input.
        instruction: Task text.
    """

    def __init__(
        self,
        robot: RobotDescription,
        spec: PolicySpec,
        *,
        max_age_ns: int | InputAges,
        instruction: str,
    ) -> None:
        self._instruction = instruction
        self._told: str | None = None
        self._robot = robot
        self._needs_instruction = spec.needs_instruction
        self._needs_goal = GOAL_CAMERA in spec.cameras
        self._names = input_names(spec)
        self._cameras = tuple(name for name in spec.cameras if name != GOAL_CAMERA)
        self._ages = max_age_ns if isinstance(max_age_ns, InputAges) else InputAges(max_age_ns)
        self._skew_ns = round(0.5e9 * robot.dt_s)
        self._not_before_ns = 0
        self._kept: dict[str, deque[_Stamped]] = {n: deque(maxlen=_KEPT) for n in self._names}
        self._awaited: dict[str, _Stamped] = {}
        self._rejected: dict[str, str] = {}
        self._latest: dict[str, Any] = {}
        self._goal: NDArray[np.uint8] | None = None
        self._lock = threading.Lock()

    @property
    def instruction(self) -> str:
        """Task text: the last one that was told, else the one that was set."""
        return self._instruction if self._told is None else self._told

    @instruction.setter
    def instruction(self, text: str) -> None:
        self._instruction = text

    def clear(self, *, not_before_ns: int) -> None:
        """Forgets what was measured, and from now on ignores what was measured before that.

        Instruction and goal are no measurements and stay.
        """
        with self._lock:
            self._not_before_ns = not_before_ns
            for name in self._names:
                self._rejected.pop(name, None)
            self._awaited.clear()
            self._latest.clear()
            for kept in self._kept.values():
                kept.clear()

    def put(self, name: str, value: object, *, stamp_ns: int) -> bool:
        """Adds a value: `Joints`, `Pose`, a vector or an image, under the name of its input.

        One that is older than the value before it by more than the age limit is rejected.

        Returns:
            Whether an observation may be complete now; not if it belongs to joints that are still
            to come.
        """
        with self._lock:
            kept = self._kept[name]
            back_ns = kept[-1].stamp_ns - stamp_ns if kept else 0
            if back_ns > self._ages.limit_ns(name):
                self._reject(name, f"went back in time by {back_ns * 1e-9:.2f} s")
                return False
            awaited = self._awaited.get(name)
            if awaited is not None and awaited.stamp_ns <= stamp_ns:
                del self._awaited[name]
            if stamp_ns < self._not_before_ns:
                return False
            self._rejected.pop(name, None)
            self._latest[name] = value
            kept.append(_Stamped(value, stamp_ns))
            return self._may_complete(name, stamp_ns)

    def instruct(self, text: str) -> None:
        """Takes a text that somebody told; it holds until the next one."""
        with self._lock:
            self._rejected.pop(INSTRUCTION, None)
            self._told = text

    def put_goal(self, image: NDArray[np.uint8]) -> None:
        """Sets the goal (h, w, 3); it holds until the next one."""
        with self._lock:
            self._rejected.pop(GOAL_CAMERA, None)
            self._goal = image

    def expect(self, name: str, *, stamp_ns: int, now_ns: int) -> None:
        """Tells that a value of that stamp has arrived and is being decoded.

        For half a control period an observation waits for it instead of taking an older value.
        """
        with self._lock:
            self._awaited[name] = _Stamped(now_ns, stamp_ns)

    def reject(self, name: str, reason: str) -> None:
        """Drops an input whose last message could not be read, until a good one arrives."""
        with self._lock:
            self._reject(name, reason)

    def problems(self, now_ns: int) -> tuple[str, ...]:
        """Says for every input what keeps it from being used; empty where all is well."""
        with self._lock:
            found = [(name, self._problem(name, now_ns)) for name in self._names]
            found.append((INSTRUCTION, self._instruction_problem()))
            found.append((GOAL_CAMERA, self._goal_problem()))
            return tuple(f"{name}: {problem}" for name, problem in found if problem)

    def ages_s(self, now_ns: int) -> Mapping[str, float]:
        """Age of the newest message of every input that has one [s]."""
        with self._lock:
            return {n: (now_ns - k[-1].stamp_ns) * 1e-9 for n, k in self._kept.items() if k}

    def rates_hz(self) -> Mapping[str, float]:
        """How often every input has come of late, by its stamps [Hz]."""
        with self._lock:
            spans_s = {
                n: (k[-1].stamp_ns - k[0].stamp_ns) * 1e-9 for n, k in self._kept.items() if k
            }
            return {n: (len(self._kept[n]) - 1) / s for n, s in spans_s.items() if s > 0}

    def observation(self, now_ns: int) -> Observation | None:
        """Returns the newest observation, None where an input is missing, old or not in step."""
        with self._lock:
            if any(self._problem(name, now_ns) for name in self._names):
                return None
            if self._instruction_problem() or self._goal_problem():
                return None
            joints = self._kept[JOINT_STATES][-1]
            if self._is_awaited(joints.stamp_ns, now_ns):
                return None
            return self._at(joints, now_ns)

    def state(self) -> NDArray[np.float32] | None:
        """Returns the last known state (S,), however old; None if there was none yet.

        An input that is rejected now counts with what it was before: an arm must be held even if
        nothing can be read any more.
        """
        with self._lock:
            joints, pose = self._latest.get(JOINT_STATES), self._latest.get(EE_POSE)
            return None if joints is None or pose is None else self._state(joints, pose)

    def _may_complete(self, name: str, stamp_ns: int) -> bool:
        if name in (JOINT_STATES, ENVIRONMENT_STATE):  # the latter has no time of its own
            return True
        joints = self._kept[JOINT_STATES]
        return bool(joints) and stamp_ns <= joints[-1].stamp_ns + self._skew_ns

    def _reject(self, name: str, reason: str) -> None:
        self._rejected[name] = reason
        self._awaited.pop(name, None)
        if name in self._kept:
            self._kept[name].clear()

    def _at(self, joints: _Stamped, now_ns: int) -> Observation | None:
        """Returns the observation of the moment of `joints`, None if it is not complete."""
        pose = min(self._kept[EE_POSE], key=lambda p: abs(p.stamp_ns - joints.stamp_ns))
        if abs(pose.stamp_ns - joints.stamp_ns) > self._skew_ns:
            return None
        images = {name: self._as_of(name, joints.stamp_ns, now_ns) for name in self._cameras}
        if self._needs_goal:
            images[GOAL_CAMERA] = self._goal
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

    def _problem(self, name: str, now_ns: int) -> str | None:
        if name in self._rejected:
            return self._rejected[name]
        if not self._kept[name]:
            return "no message"
        newest = self._kept[name][-1]
        age_s = (now_ns - newest.stamp_ns) * 1e-9
        if self._is_old(name, newest, now_ns):
            return f"{age_s:.2f} s old"
        if -age_s * 1e9 > self._ages.limit_ns(name):
            return f"{-age_s:.2f} s ahead of this clock"
        return None

    def _instruction_problem(self) -> str | None:
        if not self._needs_instruction:
            return None
        return self._rejected.get(INSTRUCTION) or (None if self.instruction else "no text")

    def _goal_problem(self) -> str | None:
        if GOAL_CAMERA in self._rejected:
            return self._rejected[GOAL_CAMERA]
        return "no image" if self._needs_goal and self._goal is None else None

    def _is_old(self, name: str, stamped: _Stamped, now_ns: int) -> bool:
        return now_ns - stamped.stamp_ns > self._ages.limit_ns(name)

    def _is_awaited(self, stamp_ns: int, now_ns: int) -> bool:
        return any(
            awaited.stamp_ns <= stamp_ns and now_ns - awaited.value < self._skew_ns
            for awaited in self._awaited.values()
        )

    def _as_of(self, name: str, stamp_ns: int, now_ns: int) -> NDArray[np.uint8] | None:
        found = (s for s in reversed(self._kept[name]) if s.stamp_ns <= stamp_ns)
        newest = next(found, None)
        return None if newest is None or self._is_old(name, newest, now_ns) else newest.value

    def _state(self, joints: Joints, pose: Pose) -> NDArray[np.float32]:
        return self._robot.proprioception(
            joint_positions=joints.positions,
            gripper_m=joints.gripper_m,
            ee_position=pose.position,
            base_R_ee=pose.R,
        )
