"""The scaling a policy is trained with, and the statistics that travel with it."""

from robot_policy.core.observation import ACTION, ENVIRONMENT_STATE, STATE
from robot_policy.core.specs import ArraySpec, PolicySpec
from robot_policy.core.transforms import Normalize, Pipeline, ResizeImages, Statistics


def make_pipeline(
    spec: PolicySpec,
    statistics: Statistics,
    *,
    states: str,
    actions: str = "min_max",
    recorded: PolicySpec | None = None,
) -> Pipeline:
    """Scaling of everything the policy sees and of its actions.

    Args:
        spec: Of the policy.
        statistics: Of the data.
        states: A `NormalizationMode`, or ``none``, which leaves states as they are.
        actions: Likewise; the default takes them to [-1, 1].
        recorded: Of the data as the robot delivers them, where images are resized for `spec`.
    """
    modes = {STATE: states, ACTION: actions}
    if spec.environment_state is not None:
        modes[ENVIRONMENT_STATE] = states
    scaling = [
        Normalize.from_statistics(statistics, key=key, mode=mode)
        for key, mode in modes.items()
        if mode != "none"
    ]
    return Pipeline([*_resizing(spec, recorded), *scaling])


def _resizing(spec: PolicySpec, recorded: PolicySpec | None) -> list[ResizeImages]:
    if recorded is None:
        return []
    return [
        ResizeImages(camera, source=_size(recorded.cameras[camera]), size=_size(image))
        for camera, image in spec.cameras.items()
        if image.shape != recorded.cameras[camera].shape
    ]


def _size(image: ArraySpec) -> tuple[int, int]:
    return image.shape[0], image.shape[1]


def used_statistics(statistics: Statistics, spec: PolicySpec) -> Statistics:
    """Leaves out the statistics of features that the policy does not see."""
    keys = {STATE, ACTION}
    if spec.environment_state is not None:
        keys.add(ENVIRONMENT_STATE)
    return {key: stats for key, stats in statistics.items() if key in keys}
