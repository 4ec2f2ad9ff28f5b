"""Plans before the arm is driven, so that no first-call cost falls into an episode."""

import statistics
from dataclasses import replace

import numpy as np

from robot_policy.core.observation import Observation, Windows
from robot_policy.core.specs import PolicySpec
from robot_policy.runtime.history import History
from robot_policy.runtime.planning import Planner, PlanRequest

_PLANS = 5
"""The first allocates and compiles; lazily built parts show in the next; then it is steady."""


def warm_up(planner: Planner) -> int:
    """Lets `planner` plan on made-up observations, with a given beginning too if it heeds one.

    Returns:
        Median duration of a plan once it is steady [ns].
    """
    windows = _neutral_windows(planner.spec)
    kinds = [windows, _with_open_prefix(windows, planner.spec)]
    durations_ns: list[int] = []
    for kind in kinds[: 2 if planner.spec.joins_prefix else 1]:
        for number in range(_PLANS):
            request = PlanRequest(number, 0, True, kind, np.random.SeedSequence(0))
            plan = planner.plan(request)
            if number >= _PLANS // 2:
                durations_ns.append(plan.duration_ns)
    planner.reset()
    return round(statistics.median(durations_ns))


def _neutral_windows(spec: PolicySpec) -> Windows:
    privileged = spec.environment_state
    history = History(spec)
    history.observe(
        Observation(
            stamp_ns=0,
            state=np.zeros(spec.state.shape, np.float32),
            environment_state=None
            if privileged is None
            else np.zeros(privileged.shape, np.float32),
            images={name: np.zeros(image.shape, np.uint8) for name, image in spec.cameras.items()},
            instruction="warm up",
        )
    )
    return history.windows()


def _with_open_prefix(windows: Windows, spec: PolicySpec) -> Windows:
    return replace(
        windows,
        prefix=np.zeros((1, spec.horizon, spec.action.size), np.float32),
        prefix_weights=np.zeros((1, spec.horizon), np.float32),
    )
