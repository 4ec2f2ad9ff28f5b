"""One demonstration: an expert in an environment, with noise on its commands."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.environment import Environment
from robot_policy.core.episode import Episode, Success
from robot_policy.core.errors import ConfigError
from robot_policy.core.observation import Observation
from robot_policy.core.specs import ActionSpace, PolicySpec
from robot_policy.runtime.translation import Translation
from sim.scripted.expert import Expert
from sim.scripted.motion import MAX_STEP_M, MAX_TURN_RAD
from sim.scripted.noise import CorrelatedNoise

_NOISE_SCALE = np.array([1.0, 1.0, 1.0, 0.2, 0.2, 0.2, 0.0])
"""Noise per entry relative to the largest command; a hand that tumbles teaches nothing."""


def collect_episode(
    environment: Environment,
    expert: Expert,
    *,
    seed: int,
    noise: float,
    translation: Translation | None = None,
) -> Episode:
    """Runs `expert` until the episode that belongs to `seed` is over.

    Everything is determined by `seed`, `noise` and the quality of the expert.

    Args:
        environment: With privileged state.
        expert: Of the same task.
        seed: Of the start, and of all chance afterwards.
        noise: Standard deviation of the noise on commands, as a fraction of the largest one.
        translation: Into the actions of a robot that takes no displacements of its end effector.

    Returns:
        Observations before each action, and the actions that were executed, noise included.

    Raises:
        ConfigError: If `noise` is negative or not finite.
    """
    if not 0.0 <= noise < np.inf:
        raise ConfigError("wrong noise level", where="noise", expected=">= 0", got=noise)
    low, high = _command_range(environment.spec)
    # A second stream: the environment places its objects with the seed itself.
    expert_rng, noise_rng = np.random.default_rng([seed, 1]).spawn(2)
    expert.reset(expert_rng)
    if translation is not None:
        translation.reset()
    disturbance = CorrelatedNoise(noise * _NOISE_SCALE * (high - low) / 2, noise_rng)
    observation = environment.reset(seed)
    observations: list[Observation] = []
    actions: list[NDArray[np.float32]] = []
    rewards: list[float] = []
    while True:
        wanted = np.clip(expert.act(observation) + disturbance.draw(), low, high)
        if translation is None:
            action = wanted.astype(np.float32)
        else:
            action = translation.action(wanted, observation)
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


def _command_range(spec: PolicySpec) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """(7,) least and largest displacement that an expert may command."""
    if spec.action_space == ActionSpace.EE_DELTA_POSE:
        return np.array(spec.action.low), np.array(spec.action.high)
    largest = np.array([*(MAX_STEP_M,) * 3, *(MAX_TURN_RAD,) * 3])
    return np.append(-largest, 0.0), np.append(largest, 1.0)


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
