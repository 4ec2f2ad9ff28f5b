"""The scaling a policy is trained with, and the statistics that travel with it."""

from robot_policy.core.observation import ACTION, ENVIRONMENT_STATE, STATE
from robot_policy.core.specs import PolicySpec
from robot_policy.core.transforms import Normalize, Pipeline, Statistics


def make_pipeline(spec: PolicySpec, statistics: Statistics, *, states: str) -> Pipeline:
    """Scaling of everything the policy sees and of its actions, which go to [-1, 1]."""
    modes = {STATE: states, ACTION: "min_max"}
    if spec.environment_state is not None:
        modes[ENVIRONMENT_STATE] = states
    return Pipeline(
        [Normalize.from_statistics(statistics, key=key, mode=mode) for key, mode in modes.items()]
    )


def used_statistics(statistics: Statistics, spec: PolicySpec) -> Statistics:
    """Leaves out the statistics of features that the policy does not see."""
    keys = {STATE, ACTION}
    if spec.environment_state is not None:
        keys.add(ENVIRONMENT_STATE)
    return {key: stats for key, stats in statistics.items() if key in keys}
