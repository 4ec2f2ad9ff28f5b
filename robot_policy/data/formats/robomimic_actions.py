"""What the actions in a robosuite recording mean, by the controller that took them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.errors import DataError
from robot_policy.core.specs import ActionSpace, ArraySpec

UNIT = "controller"
"""Unit of actions as robosuite's controllers take them: a fraction of the largest one."""

_SPACES = {
    ("OSC_POSE", True): ActionSpace.EE_DELTA_POSE,
    ("OSC_POSE", False): ActionSpace.EE_POSE,
    ("JOINT_POSITION", True): ActionSpace.JOINT_DELTA,
    ("JOINT_POSITION", False): ActionSpace.JOINT_POSITION,
}


@dataclass(frozen=True, slots=True)
class Controller:
    """The controller of an arm, one entry per number of its command.

    Attributes:
        kind: robosuite's name.
        is_delta: Whether a command is a change.
        low: Smallest command.
        high: Largest command.
        output_low: What the smallest one does [m, rad].
        output_high: What the largest one does.
    """

    kind: str
    is_delta: bool
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    output_low: NDArray[np.float64]
    output_high: NDArray[np.float64]

    @property
    def action_space(self) -> ActionSpace | None:
        """Meaning of an action, None if policies know none like it."""
        return _SPACES.get((self.kind, self.is_delta))


def controller_of(env_args: Mapping[str, Any], *, size: int) -> Controller | None:
    """Returns the controller of a one-armed robot, None where that is not told.

    Args:
        env_args: robomimic's, or the settings that robosuite's recordings keep.
        size: Entries of an action, the last one being the gripper.
    """
    kwargs = env_args.get("env_kwargs", env_args)
    config = kwargs.get("controller_configs") if isinstance(kwargs, Mapping) else None
    if isinstance(config, list) and len(config) == 1:
        config = config[0]
    parts = config.get("body_parts") if isinstance(config, Mapping) else None
    if isinstance(parts, Mapping):  # since robosuite 1.5
        arms = parts.get("arms", parts)
        config = arms.get("right") if isinstance(arms, Mapping) else None
    if not isinstance(config, Mapping):
        return None
    delta = config.get("control_delta", config.get("input_type", "delta") == "delta")
    try:
        bounds = [
            np.broadcast_to(np.array(config[key], dtype=np.float64), (size - 1,))
            for key in ("input_min", "input_max", "output_min", "output_max")
        ]
    except (KeyError, TypeError, ValueError):
        return None
    return Controller(str(config.get("type")), bool(delta), *bounds)


def action_spec(controller: Controller, *, si: bool) -> ArraySpec:
    """Spec of actions (A,), as the controller takes them or in SI units."""
    low, high = controller.low, controller.high
    if not si:
        return ArraySpec(
            shape=(len(low) + 1,),
            units=(UNIT,) * (len(low) + 1),
            low=(*low.tolist(), -1.0),
            high=(*high.tolist(), 1.0),
        )
    size = len(low)
    units = ("m",) * 3 + ("rad",) * 3 if controller.kind == "OSC_POSE" else ("rad",) * size
    bounded = controller.is_delta
    return ArraySpec(
        shape=(size + 1,),
        units=(*units, "1"),
        low=(*controller.output_low.tolist(), 0.0) if bounded else (),
        high=(*controller.output_high.tolist(), 1.0) if bounded else (),
    )


def si_actions(
    actions: NDArray[np.floating], controller: Controller | None, *, where: object
) -> NDArray[np.float32]:
    """Turns commands of a controller into SI units, the gripper into 0 open .. 1 closed.

    Deltas are the controller's linear map of commands to motions; absolute goals are in SI units
    already.

    Args:
        actions: (T, A), the last entry being the gripper, -1 open .. 1 closed.
        controller: That took them.
        where: File, named in the error.

    Raises:
        DataError: If it is not known what they mean.
    """
    if controller is None or controller.action_space is None:
        raise DataError(
            "the file does not say how its controller takes actions",
            where=where,
            expected=" or ".join(sorted({kind for kind, _ in _SPACES})),
            got=None if controller is None else controller.kind,
            hint="leave them as they are",
        )
    arm, gripper = actions[:, :-1].astype(np.float64), actions[:, -1:]
    if controller.is_delta:
        width = np.where(controller.high > controller.low, controller.high - controller.low, 1.0)
        share = (arm - controller.low) / width
        arm = controller.output_low + share * (controller.output_high - controller.output_low)
    return np.concatenate([arm, (gripper + 1.0) / 2.0], axis=1).astype(np.float32)
