"""What crosses a boundary: shapes, types, names, units and bounds of states, images, actions."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.camera_calibration import CameraCalibration
from robot_policy.core.errors import SpecError
from robot_policy.core.observation import GOAL_CAMERA


@dataclass(frozen=True, slots=True)
class ArraySpec:
    """Shape, type, names, units and bounds of one array, without its batch axes.

    Attributes:
        shape: Shape of one item, for example ``(7,)``.
        dtype: numpy type name.
        names: One name per entry of a 1-D array; empty where entries have no names.
        units: One unit per entry of a 1-D array (``"m"``, ``"rad"``, ``"1"``), or empty.
        low: Lower bound per entry of a 1-D array, or empty where unbounded.
        high: Upper bound per entry, likewise.
    """

    shape: tuple[int, ...]
    dtype: str = "float32"
    names: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        size = self.shape[0] if len(self.shape) == 1 else -1
        labelled: dict[str, tuple[object, ...]] = {
            "names": self.names,
            "units": self.units,
            "low": self.low,
            "high": self.high,
        }
        for label, values in labelled.items():
            if values and len(values) != size:
                raise SpecError(
                    f"{label} must have one entry per element",
                    expected=f"{size} for shape {self.shape}",
                    got=len(values),
                )
        if bool(self.low) != bool(self.high):
            raise SpecError("low and high must be given together")
        if self.low and any(a > b for a, b in zip(self.low, self.high, strict=True)):
            raise SpecError("low must not exceed high", got=(self.low, self.high))

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    def validate(self, x: NDArray[Any], *, where: str) -> NDArray[Any]:
        """Returns `x` as this spec's type after checking it.

        Args:
            x: (*shape) array.
            where: Named in the error.

        Raises:
            SpecError: If the shape differs, the type cannot be cast safely, or a value is not
                finite. Values out of bounds are not an error here: that is for the safety filter.
        """
        array = np.asarray(x)
        if array.shape != self.shape:
            raise SpecError("wrong shape", where=where, expected=self.shape, got=array.shape)
        if not np.can_cast(array.dtype, self.dtype, casting="same_kind"):
            raise SpecError("wrong type", where=where, expected=self.dtype, got=array.dtype)
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            bad: tuple[int, ...] = tuple(np.argwhere(~np.isfinite(array))[0].tolist())
            place = self.names[bad[0]] if self.names else f"index {bad}"
            raise SpecError("not finite", where=where, got=f"{array[bad]} at {place}")
        return array.astype(self.dtype, copy=False)

    def sample(self, rng: np.random.Generator) -> NDArray[Any]:
        """Draws a valid array: uniform within the bounds, standard normal without."""
        if np.dtype(self.dtype).kind in "iu":
            info = np.iinfo(self.dtype)
            return rng.integers(info.min, info.max, self.shape, dtype=self.dtype, endpoint=True)
        if self.low:
            return rng.uniform(self.low, self.high).astype(self.dtype)
        return rng.standard_normal(self.shape).astype(self.dtype)

    def to_json(self) -> dict[str, Any]:
        """Returns a JSON-ready dict."""
        return {
            "shape": list(self.shape),
            "dtype": self.dtype,
            "names": list(self.names),
            "units": list(self.units),
            "low": list(self.low),
            "high": list(self.high),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Inverse of `to_json`."""
        return cls(
            shape=tuple(data["shape"]),
            dtype=data["dtype"],
            names=tuple(data["names"]),
            units=tuple(data["units"]),
            low=tuple(data["low"]),
            high=tuple(data["high"]),
        )


def image_spec(height: int, width: int) -> ArraySpec:
    """Spec of one RGB image, (height, width, 3) uint8."""
    return ArraySpec(shape=(height, width, 3), dtype="uint8")


class ActionSpace(StrEnum):
    """What an action means. The gripper is always last: 0 open, 1 closed.

    EE_DELTA_POSE: translation [m] and rotation vector [rad] of the end effector in the base
        frame over one control period.
    EE_POSE: position [m] and rotation vector [rad] of the end effector in the base frame.
    JOINT_POSITION: joint angles [rad].
    JOINT_DELTA: change of the joint angles over one control period [rad].
    """

    EE_DELTA_POSE = "ee_delta_pose"
    EE_POSE = "ee_pose"
    JOINT_POSITION = "joint_position"
    JOINT_DELTA = "joint_delta"

    @property
    def is_delta(self) -> bool:
        """Whether zero motion is the zero vector."""
        return self in (ActionSpace.EE_DELTA_POSE, ActionSpace.JOINT_DELTA)


@dataclass(frozen=True, slots=True)
class PolicySpec:
    """Everything a policy needs from, and promises to, whoever runs it.

    Attributes:
        robot: Name of the robot description the data was recorded with.
        state: Proprioception, (S,), key ``observation.state``.
        action: (A,), gripper last.
        action_space: Meaning of `action`.
        dt_s: Control period [s].
        environment_state: Privileged simulator state, (E,), key
            ``observation.environment_state``; None where the policy does not use it.
        cameras: Camera name to image spec, keys ``observation.images.<camera>``.
        history: T, observations the policy looks at.
        horizon: H, actions it predicts from now on.
        past: P, executed actions before now that it predicts, 0 where it predicts none.
        history_stride: Control periods between two observations of the history, and between two of
            the past actions; above 1 a few of them reach back for seconds.
        needs_instruction: Whether it reads the task text.
        joins_prefix: Whether it can begin a chunk with actions already decided, see
            `Windows.prefix`.
        calibrations: Camera name to where it was when the data was recorded, for calibrated ones;
            a policy has those of its cameras, and all if it reads `environment_state`, whose poses
            of objects may come from any.
    """

    robot: str
    state: ArraySpec
    action: ArraySpec
    action_space: ActionSpace
    dt_s: float
    environment_state: ArraySpec | None = None
    cameras: Mapping[str, ArraySpec] = field(default_factory=dict[str, ArraySpec])
    history: int = 1
    horizon: int = 1
    past: int = 0
    history_stride: int = 1
    needs_instruction: bool = False
    joins_prefix: bool = False
    calibrations: Mapping[str, CameraCalibration] = field(
        default_factory=dict[str, CameraCalibration]
    )

    def __post_init__(self) -> None:
        if self.dt_s <= 0:
            raise SpecError("dt_s must be positive", got=self.dt_s)
        sizes = (("history", 1), ("horizon", 1), ("past", 0), ("history_stride", 1))
        for label, least in sizes:
            if getattr(self, label) < least:
                raise SpecError(f"{label} is too small", expected=f">= {least}")

    def to_json(self) -> dict[str, Any]:
        """Returns a JSON-ready dict."""
        env = self.environment_state
        return {
            "robot": self.robot,
            "state": self.state.to_json(),
            "action": self.action.to_json(),
            "action_space": self.action_space.value,
            "dt_s": self.dt_s,
            "environment_state": None if env is None else env.to_json(),
            "cameras": {name: spec.to_json() for name, spec in self.cameras.items()},
            "history": self.history,
            "horizon": self.horizon,
            "past": self.past,
            "history_stride": self.history_stride,
            "needs_instruction": self.needs_instruction,
            "joins_prefix": self.joins_prefix,
            "calibrations": {name: c.to_json() for name, c in self.calibrations.items()},
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Inverse of `to_json`."""
        env = data["environment_state"]
        return cls(
            robot=data["robot"],
            state=ArraySpec.from_json(data["state"]),
            action=ArraySpec.from_json(data["action"]),
            action_space=ActionSpace(data["action_space"]),
            dt_s=data["dt_s"],
            environment_state=None if env is None else ArraySpec.from_json(env),
            cameras={name: ArraySpec.from_json(s) for name, s in data["cameras"].items()},
            history=data["history"],
            horizon=data["horizon"],
            past=data["past"],
            needs_instruction=data["needs_instruction"],
            # Older descriptions do not have these.
            history_stride=data.get("history_stride", 1),
            joins_prefix=data.get("joins_prefix", False),
            calibrations={
                name: CameraCalibration.from_json(value)
                for name, value in data.get("calibrations", {}).items()
            },
        )


def check_runs_on(policy: PolicySpec, source: PolicySpec, *, where: str) -> None:
    """Checks that observations and commands of `source` are what `policy` was trained with.

    Args:
        policy: Spec of the policy.
        source: Spec of a dataset, an environment or a robot. It may offer more than is used.
        where: Named in the error.

    Raises:
        SpecError: At the first difference in robot, control period, action space, names of
            state or action entries, privileged state or cameras.
    """

    def same(label: str, expected: object, got: object) -> None:
        if expected != got:
            raise SpecError(f"another {label}", where=where, expected=expected, got=got)

    same("robot", policy.robot, source.robot)
    same("action space", policy.action_space.value, source.action_space.value)
    same("action size", policy.action.shape, source.action.shape)
    same("action names", policy.action.names, source.action.names)
    same("state size", policy.state.shape, source.state.shape)
    same("state names", policy.state.names, source.state.names)
    if abs(policy.dt_s - source.dt_s) > 1e-6:
        same("rate", f"{1 / policy.dt_s:g} Hz", f"{1 / source.dt_s:g} Hz")
    if policy.environment_state is not None:
        if source.environment_state is None:
            raise SpecError(
                "the policy needs observation.environment_state",
                where=where,
                hint="it is privileged simulator state and is not offered here",
            )
        same("environment state", policy.environment_state.names, source.environment_state.names)
    missing = sorted(set(policy.cameras) - set(source.cameras))
    if missing:
        raise SpecError(f"camera {missing[0]!r} is missing", where=where, valid=source.cameras)


def without_goal(policy: PolicySpec) -> PolicySpec:
    """Returns what of a policy's spec a robot has to offer: all but the picture of the goal."""
    cameras = {name: spec for name, spec in policy.cameras.items() if name != GOAL_CAMERA}
    return replace(policy, cameras=cameras)
