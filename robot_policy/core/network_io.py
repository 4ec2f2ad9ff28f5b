"""Between a policy's windows and its network's numbers, the same whatever runs the network."""

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.observation import (
    ACTION,
    ACTION_PREFIX,
    ACTION_PREFIX_WEIGHTS,
    Candidates,
    Windows,
)
from robot_policy.core.specs import PolicySpec
from robot_policy.core.transforms import Pipeline, Sample


def network_inputs(windows: Windows, pipeline: Pipeline, spec: PolicySpec) -> Sample:
    """Returns normalised arrays under the dataset's keys; the prefix only where it is heeded."""
    sample = dict(pipeline.apply(windows.as_sample()))
    if windows.prefix is not None and spec.joins_prefix:
        sample[ACTION_PREFIX] = pipeline.apply({ACTION: windows.prefix})[ACTION]
        if windows.prefix_weights is not None:
            sample[ACTION_PREFIX_WEIGHTS] = windows.prefix_weights
    return sample


def candidates_of(chunks: NDArray[np.float32], pipeline: Pipeline, spec: PolicySpec) -> Candidates:
    """Splits normalised chunks (B, N, P + H, A) into past and actions in the robot's units."""
    actions = pipeline.invert(chunks).astype(np.float32)
    past = spec.past
    return Candidates(actions[:, :, past:], actions[:, :, :past] if past else None)
