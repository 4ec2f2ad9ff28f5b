"""What several datasets must have in common before one policy may learn from all of them."""

from dataclasses import replace

from robot_policy.core.errors import DataError
from robot_policy.core.specs import PolicySpec


def common_spec(first: PolicySpec, other: PolicySpec, *, where: object = None) -> PolicySpec:
    """Returns what two datasets both hold: the cameras and the privileged state of both.

    Args:
        first: Of one dataset; bounds and units are taken from it.
        other: Of the other one.
        where: The other dataset, named in the error.

    Raises:
        DataError: If robot, rate, states, actions or the size of images differ.
    """

    def same(label: str, expected: object, got: object) -> None:
        if expected != got:
            raise DataError(
                f"another {label} than the datasets before",
                where=where,
                expected=expected,
                got=got,
            )

    same("robot", first.robot, other.robot)
    same("action space", first.action_space.value, other.action_space.value)
    if abs(first.dt_s - other.dt_s) > 1e-6:
        same("rate", f"{1 / first.dt_s:g} Hz", f"{1 / other.dt_s:g} Hz")
    for label in ("state", "action"):
        one, two = getattr(first, label), getattr(other, label)
        same(f"{label} size", one.shape, two.shape)
        same(f"{label} names", one.names, two.names)
    privileged = first.environment_state
    if privileged is not None and other.environment_state is not None:
        same("environment state", privileged.names, other.environment_state.names)
        same("environment state size", privileged.shape, other.environment_state.shape)
    else:
        privileged = None
    cameras = {camera: spec for camera, spec in first.cameras.items() if camera in other.cameras}
    for camera, spec in cameras.items():
        same(f"image size of {camera}", spec.shape, other.cameras[camera].shape)
    # Where they differ, no one place is that of the data.
    calibrations = {c: k for c, k in first.calibrations.items() if other.calibrations.get(c) == k}
    return replace(first, environment_state=privileged, cameras=cameras, calibrations=calibrations)
