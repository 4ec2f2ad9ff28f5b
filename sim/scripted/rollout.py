"""One demonstration: an expert in an environment, with noise on its commands."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.environment import Environment
from robot_policy.core.episode import Episode, Success
from robot_policy.core.errors import ConfigError
from robot_policy.core.observation import Observation
from sim.scripted.expert import Expert
from sim.scripted.noise import CorrelatedNoise

_NOISE_SCALE = np.array([1.0, 1.0, 1.0, 0.2, 0.2, 0.2, 0.0])
"""Noise per entry relative to the largest command; a hand that tumbles teaches nothing."""


def collect_episode(
    environment: Environment, expert: Expert, *, seed: int, noise: float
) -> Episode:
    """Runs `expert` until the episode that belongs to `seed` is over.

    Everything is determined by `seed`, `noise` and the quality of the expert.

    Args:
        environment: With privileged state.
        expert: Of the same task.
        seed: Of the start, and of all chance afterwards.
        noise: Standard deviation of the noise on commands, as a fraction of the largest one.

    Returns:
        Observations before each action, and the actions that were executed, noise included.

    Raises:
        ConfigError: If `noise` is negative or not finite.
    """
    if not 0.0 <= noise < np.inf:
        raise ConfigError("wrong noise level", where="noise", expected=">= 0", got=noise)
    spec = environment.spec.action
    low, high = np.array(spec.low), np.array(spec.high)
    # A second stream: the environment places its objects with the seed itself.
    expert_rng, noise_rng = np.random.default_rng([seed, 1]).spawn(2)
    expert.reset(expert_rng)
    disturbance = CorrelatedNoise(noise * _NOISE_SCALE * (high - low) / 2, noise_rng)
    observation = environment.reset(seed)
    observations: list[Observation] = []
    actions: list[NDArray[np.float32]] = []
    rewards: list[float] = []
    while True:
        action = expert.act(observation) + disturbance.draw()
        action = np.clip(action, low, high).astype(np.float32)
        step = environment.step(action)
        observations.append(observation)
        actions.append(action)
        rewards.append(step.reward)
        observation = step.observation
        if step.done:
            break
    metadata = {"seed": seed, "quality": expert.quality, "noise": noise}
    success = Success.YES if step.success else Success.NO
    return _episode(observations, actions, rewards, success=success, metadata=metadata)


def _episode(
    observations: Sequence[Observation],
    actions: Sequence[NDArray[np.float32]],
    rewards: Sequence[float],
    *,
    success: Success,
    metadata: dict[str, object],
) -> Episode:
    first = observations[0]
    privileged = [o.environment_state for o in observations if o.environment_state is not None]
    return Episode(
        stamps_ns=np.array([o.stamp_ns for o in observations], dtype=np.int64),
        state=np.stack([o.state for o in observations]),
        actions=np.stack(actions),
        task=first.instruction,
        rewards=np.array(rewards, dtype=np.float32),
        success=success,
        environment_state=np.stack(privileged) if privileged else None,
        images={name: np.stack([o.images[name] for o in observations]) for name in first.images},
        metadata=metadata,
    )
