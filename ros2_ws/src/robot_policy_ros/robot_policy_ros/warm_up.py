"""Plans before the arm is driven, so that no first-call cost falls into an episode."""

import numpy as np

from robot_policy.core.observation import Observation
from robot_policy.core.specs import PolicySpec
from robot_policy.runtime.agent import Agent

_PLANS = 5
"""The first allocates and compiles; lazily built parts show in the next; then it is steady."""


def warm_up(agent: Agent) -> float:
    """Lets `agent` plan on made-up observations, then resets it.

    Returns:
        Duration of the fastest plan [ms].
    """
    observation = _neutral_observation(agent.policy.spec)
    durations_ms: list[float] = []
    for _ in range(_PLANS):
        agent.reset(seed=0)
        agent.act(observation)
        if agent.planning_ns is not None:
            durations_ms.append(agent.planning_ns * 1e-6)
    agent.reset(seed=0)
    return min(durations_ms)


def _neutral_observation(spec: PolicySpec) -> Observation:
    privileged = spec.environment_state
    return Observation(
        stamp_ns=0,
        state=np.zeros(spec.state.shape, np.float32),
        environment_state=None if privileged is None else np.zeros(privileged.shape, np.float32),
        images={name: np.zeros(image.shape, np.uint8) for name, image in spec.cameras.items()},
    )
