"""What a critic learns from: rewards and returns of every step, out of success flags or rewards."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.episode import Success
from robot_policy.core.errors import ConfigError, DataError

type RewardKind = Literal["success", "cost_to_go", "recorded"]


@dataclass(frozen=True)
class LabelConfig:
    """How steps are rewarded."""

    reward: RewardKind = "success"
    """success: 1 on the last steps of a success, else 0. cost_to_go: -1 in every step but the last
    ones of a success, where it is 0. recorded: the rewards of the dataset."""
    last_steps: int = 3
    """Steps at the end of a success that count as reaching the goal."""
    gamma: float = 0.99
    """Discount per control step, not per chunk."""

    def __post_init__(self) -> None:
        if not 0.0 < self.gamma < 1.0:
            raise ConfigError(
                "out of range", where="labels.gamma", expected="(0, 1)", got=self.gamma
            )
        if self.last_steps < 1:
            raise ConfigError(
                "too small", where="labels.last_steps", expected=">= 1", got=self.last_steps
            )


@dataclass(frozen=True, slots=True)
class Labels:
    """Returns of the N steps of a dataset, and the way to n-step targets.

    Attributes:
        returns: (N,) discounted return from each step on.
        ends: (N,) index behind the last step of the episode that each step belongs to.
        gamma: Discount per step.
    """

    returns: NDArray[np.float32]
    ends: NDArray[np.int64]
    gamma: float

    @property
    def value_range(self) -> tuple[float, float]:
        """Least and largest return, a little wider, and never empty."""
        low, high = float(self.returns.min()), float(self.returns.max())
        margin = max(0.02 * (high - low), 1e-3)
        return low - margin, high + margin

    def n_step(
        self, steps: NDArray[np.int64], counts: NDArray[np.int64]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Rewards on the way and the discount of what follows.

        G_t = R + d G_{t+n}, so R = G_t - d G_{t+n} with d = gamma^n, or d = 0 and R = G_t where the
        episode ends within the n steps: what comes after its end is in G already.

        Args:
            steps: (B,) steps t.
            counts: (B,) numbers n of actions until the next decision.

        Returns:
            R (B,) and d (B,).
        """
        later = steps + counts
        goes_on = later < self.ends[steps]
        discount = np.where(goes_on, self.gamma ** counts.astype(np.float64), 0.0)
        following = self.returns[np.where(goes_on, later, steps)]
        return (
            (self.returns[steps] - discount * following).astype(np.float32),
            discount.astype(np.float32),
        )


def label(
    config: LabelConfig,
    *,
    lengths: Sequence[int],
    successes: Sequence[Success],
    recorded: NDArray[np.float32],
    where: object = None,
    needed: bool = True,
) -> Labels:
    """Labels every step.

    An episode without success is taken as one that would never have succeeded: after its end the
    cost goes on for ever.

    Args:
        config: How.
        lengths: Steps of each episode.
        successes: Outcome of each episode.
        recorded: (N,) rewards of the dataset.
        where: Names the dataset in errors.
        needed: Whether anything is learned from them; False accepts any data.

    Raises:
        DataError: If the dataset lacks what `config.reward` is made from, or teaches nothing
            because all is alike.
    """
    if needed:
        _check(config, successes, recorded, where)
    parts: list[NDArray[np.float64]] = []
    start = 0
    for length, success in zip(lengths, successes, strict=True):
        rewards, after = _rewards(config, recorded[start : start + length], success)
        parts.append(_discounted(rewards, after, config.gamma))
        start += length
    ends = np.repeat(np.cumsum(lengths), lengths).astype(np.int64)
    return Labels(np.concatenate(parts).astype(np.float32), ends, config.gamma)


def _check(
    config: LabelConfig,
    successes: Sequence[Success],
    recorded: NDArray[np.float32],
    where: object,
) -> None:
    if config.reward == "recorded":
        if not recorded.any():
            raise DataError(
                "no reward in any step",
                where=where,
                hint="record rollouts with `robot-policy eval --record`, or use success flags: "
                "--labels.reward success",
            )
        return
    unknown = [index for index, success in enumerate(successes) if success == Success.UNKNOWN]
    if unknown:
        raise DataError(
            f"{len(unknown)} of {len(successes)} episodes have no success flag, the first is "
            f"episode {unknown[0]}",
            where=where,
            hint="add the feature next.success, as `robot-policy collect` and `eval --record` do, "
            "or use rewards: --labels.reward recorded",
        )
    if Success.YES not in successes:
        raise DataError(
            "no episode succeeds, so nothing tells good from bad",
            where=where,
            hint="add successful episodes, with `robot-policy collect` for example",
        )


def _rewards(
    config: LabelConfig, recorded: NDArray[np.float32], success: Success
) -> tuple[NDArray[np.float64], float]:
    """Rewards of an episode, and the return of what would come after it."""
    if config.reward == "recorded":
        return recorded.astype(np.float64), 0.0
    reached = np.zeros(len(recorded))
    if success == Success.YES:
        reached[-config.last_steps :] = 1.0
    if config.reward == "success":
        return reached, 0.0
    return reached - 1.0, 0.0 if success == Success.YES else -1.0 / (1.0 - config.gamma)


def _discounted(rewards: NDArray[np.float64], after: float, gamma: float) -> NDArray[np.float64]:
    returns = np.empty(len(rewards))
    running = after
    for step in range(len(rewards) - 1, -1, -1):
        running = rewards[step] + gamma * running
        returns[step] = running
    return returns
