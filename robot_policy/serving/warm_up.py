"""Plans before a robot asks, so that no first-call cost falls on one."""

from typing import Any

import numpy as np

from robot_policy.core.observation import Windows
from robot_policy.core.policy import Policy
from robot_policy.core.specs import PolicySpec


def warm_up(policy: Policy, *, rows: int) -> None:
    """Lets `policy` answer batches of 1 to `rows` windows."""
    for count in range(1, rows + 1):
        policy.sample(neutral_windows(policy.spec, count), generator=np.random.default_rng(0))


def neutral_windows(spec: PolicySpec, rows: int) -> Windows:
    """Returns windows of zeros, as they are at the start of an episode."""

    def zeros(shape: tuple[int, ...], dtype: Any = np.float32) -> Any:
        return np.zeros((rows, *shape), dtype)

    T, P = spec.history, spec.past
    privileged = spec.environment_state
    return Windows(
        state=zeros((T, *spec.state.shape)),
        past=zeros((P, *spec.action.shape)),
        valid=np.ones((rows, T), np.bool_),
        past_valid=zeros((P,), np.bool_),
        environment_state=None if privileged is None else zeros((T, *privileged.shape)),
        images={name: zeros((T, *s.shape), np.uint8) for name, s in spec.cameras.items()},
        instructions=("warm up",) * rows,
    )
