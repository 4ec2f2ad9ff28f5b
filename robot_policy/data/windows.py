"""Training windows: what the policy sees at a step and the actions it should answer with."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.errors import ConfigError, UnknownNameError
from robot_policy.core.observation import ACTION, ENVIRONMENT_STATE, STATE, TASK, image_key
from robot_policy.data.store import EpisodeStore


class WindowDataset:
    """One window per step t of the chosen episodes.

    Observations t-T+1 .. t, actions t-P .. t+H-1. Beyond an episode's ends its first or last step
    is repeated and marked as padding.

    Args:
        store: Dataset.
        history: T, at least 1.
        past: P, at least 0.
        horizon: H, at least 1.
        cameras: Whose images a window carries; must have been loaded into the store.
        use_environment_state: Whether it carries the privileged state.
        episodes: Which episodes, all of them if None.

    Raises:
        ConfigError: If a size is out of range, there is no privileged state, no step to start
            from, or no such episode.
        UnknownNameError: If a camera has not been loaded.
    """

    def __init__(
        self,
        store: EpisodeStore,
        *,
        history: int,
        past: int,
        horizon: int,
        cameras: tuple[str, ...] = (),
        use_environment_state: bool,
        episodes: Sequence[int] | None = None,
    ) -> None:
        for label, value, least in (("T", history, 1), ("P", past, 0), ("H", horizon, 1)):
            if value < least:
                raise ConfigError(f"{label} is too small", expected=f">= {least}", got=value)
        for camera in cameras:
            if camera not in store.images:
                raise UnknownNameError.of("loaded camera", camera, store.images)
        if use_environment_state and store.environment_state is None:
            raise ConfigError("the dataset has no privileged state", where=ENVIRONMENT_STATE)
        self._store = store
        self._cameras = cameras
        self._use_environment_state = use_environment_state
        self._observed = np.arange(1 - history, 1)
        self._acted = np.arange(-past, horizon)
        self._steps = _steps(store, episodes)

    def __len__(self) -> int:
        """Number of windows."""
        return len(self._steps)

    def batch(self, indices: NDArray[np.int64]) -> dict[str, Any]:
        """Gathers B windows.

        Args:
            indices: (B,) window numbers, 0 .. len - 1.

        Returns:
            ``observation.state`` (B, T, S), ``observation.environment_state`` (B, T, E),
            ``observation.images.<camera>`` (B, T, h, w, 3) uint8, ``action`` (B, P + H, A),
            ``action_is_pad`` (B, P + H) bool, ``observation_is_pad`` (B, T) bool and ``task``, a
            tuple of B texts.
        """
        store, steps = self._store, self._steps[indices]
        observed, observation_is_pad = self._window(steps, self._observed)
        acted, action_is_pad = self._window(steps, self._acted)
        batch: dict[str, Any] = {
            STATE: store.state[observed],
            ACTION: store.actions[acted],
            "action_is_pad": action_is_pad,
            "observation_is_pad": observation_is_pad,
            TASK: tuple(store.episodes[owner].task for owner in store.episode_of[steps]),
        }
        if self._use_environment_state and store.environment_state is not None:
            batch[ENVIRONMENT_STATE] = store.environment_state[observed]
        for camera in self._cameras:
            batch[image_key(camera)] = store.frames(camera, observed)
        return batch

    def _window(
        self, steps: NDArray[np.int64], offsets: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        owners = self._store.episode_of[steps]
        first = self._store.starts[owners][:, None]
        last = self._store.starts[owners + 1][:, None] - 1
        wanted = steps[:, None] + offsets
        return np.clip(wanted, first, last), (wanted < first) | (wanted > last)


def _steps(store: EpisodeStore, episodes: Sequence[int] | None) -> NDArray[np.int64]:
    if episodes is None:
        return np.arange(len(store), dtype=np.int64)
    count = len(store.episodes)
    for episode in episodes:
        if not 0 <= episode < count:
            raise ConfigError("no such episode", expected=f"0 .. {count - 1}", got=episode)
    if not len(episodes):
        raise ConfigError("no episode to take windows from")
    ranges = [np.arange(store.starts[e], store.starts[e + 1]) for e in episodes]
    return np.concatenate(ranges).astype(np.int64)


def split_episodes(
    store: EpisodeStore, validation_fraction: float, seed: int
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Splits the episodes at random into ones to learn from and ones kept out.

    Args:
        store: Dataset.
        validation_fraction: In [0, 1); above 0 it keeps out at least one episode, if there are
            two.
        seed: Of the choice.

    Returns:
        Sorted indices of training and of validation episodes; never no training episode.

    Raises:
        ConfigError: If the fraction is out of range.
    """
    if not 0.0 <= validation_fraction < 1.0:
        raise ConfigError(
            "out of range", where="validation_fraction", expected="[0, 1)", got=validation_fraction
        )
    count = len(store.episodes)
    kept_out = 0
    if validation_fraction > 0:
        kept_out = min(max(1, round(validation_fraction * count)), count - 1)
    order = np.random.default_rng(seed).permutation(count).tolist()
    return tuple(sorted(order[kept_out:])), tuple(sorted(order[:kept_out]))


def epoch_order(n: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """Returns the order of `n` windows in an epoch; depends on nothing but the arguments."""
    return np.random.default_rng([seed, epoch]).permutation(n).astype(np.int64)
