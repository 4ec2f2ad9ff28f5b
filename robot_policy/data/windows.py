"""Training windows: what the policy sees at a step and the actions it should answer with."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.errors import ConfigError, UnknownNameError
from robot_policy.core.observation import (
    ACTION,
    ENVIRONMENT_STATE,
    EPISODE,
    OBSERVATION_IS_PAD,
    STATE,
    TASK,
    image_key,
)
from robot_policy.data.formats.episode_format import check_episodes
from robot_policy.data.store import EpisodeStore


class WindowDataset:
    """One window per step t of the chosen episodes.

    Observations t-(T-1)s .. t and actions t-Ps .. t-s every s = `stride` steps, actions t .. t+H-1,
    all `lookahead` steps later. Beyond an episode's ends its first or last step is repeated and
    marked as padding.

    Args:
        store: Dataset.
        history: T, at least 1.
        past: P, at least 0.
        horizon: H, at least 1.
        stride: s, at least 1.
        cameras: Whose images a window carries; must have been loaded into the store.
        use_environment_state: Whether it carries the privileged state.
        episodes: Which episodes, all of them if None.
        lookahead: With T - 1, windows begin at t instead of ending there; what a recurrent policy
            is unrolled over.
        episode_weights: Of the chosen episodes, in their order: how often their windows are drawn
            relative to others. All alike if None.
        step_weights: (N,) of every frame of the store: how often the window that stands there is
            drawn, times that of its episode. All alike if None.

    Attributes:
        weights: (number of windows,) or None.

    Raises:
        ConfigError: If a size is out of range, there is no privileged state, no step to start
            from, no such episode, or the weights do not suit.
        UnknownNameError: If a camera has not been loaded.
    """

    def __init__(
        self,
        store: EpisodeStore,
        *,
        history: int,
        past: int,
        horizon: int,
        stride: int = 1,
        cameras: tuple[str, ...] = (),
        use_environment_state: bool,
        episodes: Sequence[int] | None = None,
        lookahead: int = 0,
        episode_weights: Sequence[float] | None = None,
        step_weights: NDArray[np.floating] | None = None,
    ) -> None:
        sizes = (("T", history, 1), ("P", past, 0), ("H", horizon, 1), ("lookahead", lookahead, 0))
        sizes += (("stride", stride, 1),)
        for label, value, least in sizes:
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
        self._observed = np.arange(1 - history, 1) * stride + lookahead
        before = np.arange(-past, 0) * stride
        self._acted = np.concatenate([before, np.arange(horizon)]) + lookahead
        chosen = range(len(store.episodes)) if episodes is None else episodes
        self._steps = _steps(store, chosen)
        self.weights = None
        if episode_weights is not None:
            lengths = [store.episodes[episode].length for episode in chosen]
            self.weights = np.repeat(checked_weights(episode_weights, len(lengths)), lengths)
        if step_weights is not None:
            stepwise = checked_weights(step_weights[self._steps].tolist(), len(self._steps))
            self.weights = stepwise if self.weights is None else self.weights * stepwise
            checked_weights(self.weights.tolist(), len(self._steps))

    def __len__(self) -> int:
        """Number of windows."""
        return len(self._steps)

    def describe(self, index: int) -> str:
        """Says in words at which frame of which episode window `index` stands."""
        step = self._steps[index]
        owner = self._store.episode_of[step]
        episode, frame = self._store.episodes[owner], step - self._store.starts[owner]
        place = f"episode {episode.index} frame {frame}"
        return f"{episode.dataset} {place}" if episode.dataset else place

    def batch(self, indices: NDArray[np.int64]) -> dict[str, Any]:
        """Gathers B windows.

        Args:
            indices: (B,) window numbers, 0 .. len - 1.

        Returns:
            ``observation.state`` (B, T, S), ``observation.environment_state`` (B, T, E),
            ``observation.images.<camera>`` (B, T, h, w, 3) uint8, ``action`` (B, P + H, A),
            ``action_is_pad`` (B, P + H) bool, ``observation_is_pad`` (B, T) bool, ``episode``
            (B,) numbers and ``task``, a tuple of B texts.
        """
        store, steps = self._store, self._steps[indices]
        observed, observation_is_pad = self._window(steps, self._observed)
        acted, action_is_pad = self._window(steps, self._acted)
        batch: dict[str, Any] = {
            STATE: store.state[observed],
            ACTION: store.actions[acted],
            "action_is_pad": action_is_pad,
            OBSERVATION_IS_PAD: observation_is_pad,
            EPISODE: store.episode_of[steps],
            TASK: tuple(store.episodes[owner].task for owner in store.episode_of[steps]),
        }
        if self._use_environment_state and store.environment_state is not None:
            batch[ENVIRONMENT_STATE] = store.environment_state[observed]
        for camera in self._cameras:
            batch[image_key(camera)] = store.frames(camera, observed)
        return batch

    def steps(self, indices: NDArray[np.int64]) -> NDArray[np.int64]:
        """Returns the frames of the store, counted over all episodes, of windows (B,)."""
        return self._steps[indices]

    def chunks(self, indices: NDArray[np.int64]) -> NDArray[np.float32]:
        """Gathers only the actions (B, P + H, A) of windows (B,)."""
        acted, _ = self._window(self._steps[indices], self._acted)
        return self._store.actions[acted]

    def policy_chunks(self, indices: NDArray[np.int64]) -> NDArray[np.float32]:
        """Gathers what a policy wanted (B, P + H, A) in windows (B,); the actions without one."""
        acted, _ = self._window(self._steps[indices], self._acted)
        wanted = self._store.policy_actions
        return (self._store.actions if wanted is None else wanted)[acted]

    def _window(
        self, steps: NDArray[np.int64], offsets: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        owners = self._store.episode_of[steps]
        first = self._store.starts[owners][:, None]
        last = self._store.starts[owners + 1][:, None] - 1
        wanted = steps[:, None] + offsets
        return np.clip(wanted, first, last), (wanted < first) | (wanted > last)


def _steps(store: EpisodeStore, episodes: Sequence[int]) -> NDArray[np.int64]:
    check_episodes(episodes, count=len(store.episodes), where="episodes")
    if not len(episodes):
        raise ConfigError("no episode to take windows from")
    ranges = [np.arange(store.starts[e], store.starts[e + 1]) for e in episodes]
    return np.concatenate(ranges).astype(np.int64)


def checked_weights(weights: Sequence[float], count: int) -> NDArray[np.float64]:
    """Returns the weights (count,) as an array.

    Raises:
        ConfigError: If there are not `count` of them, one is negative or not finite, or all are
            zero.
    """
    values = np.asarray(weights, dtype=np.float64)
    if values.shape != (count,):
        raise ConfigError("wrong number of weights", expected=count, got=len(weights))
    if not (np.isfinite(values) & (values >= 0)).all():
        raise ConfigError("a weight is negative or not finite", got=values.min())
    if not values.any():
        raise ConfigError("every weight is zero")
    return values


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


def epoch_order(
    n: int, seed: int, epoch: int, *, weights: NDArray[np.float64] | None = None
) -> NDArray[np.int64]:
    """Returns the `n` windows that an epoch draws, in order; depends on nothing but the arguments.

    Without weights every window is drawn once. With weights window i is drawn n w_i / sum(w)
    times, rounded up or down at random so that it is right on average (systematic resampling,
    Carpenter et al. 1999, https://doi.org/10.1049/ip-rsn:19990255): of all ways to draw n windows
    with these expectations the one that repeats and leaves out the least.

    Args:
        n: Windows.
        seed: Of the order.
        epoch: Pass over the data.
        weights: (n,), not negative, not all zero.
    """
    rng = np.random.default_rng([seed, epoch])
    order = rng.permutation(n).astype(np.int64)
    if weights is None:
        return order
    expected = np.cumsum(weights * (n / weights.sum()))
    expected[-1] = n
    reached = np.floor(np.concatenate([[0.0], expected]) + rng.random()).astype(np.int64)
    return np.repeat(np.arange(n, dtype=np.int64), np.diff(reached))[order]
