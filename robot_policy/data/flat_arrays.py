"""States, actions and times of a dataset, all episodes one after the other."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.episode import Episode


@dataclass(frozen=True, slots=True)
class FlatArrays:
    """The frames of all episodes, one after the other; in memory or mapped from files.

    Attributes:
        state: (N, S) float32.
        actions: (N, A) float32.
        rewards: (N,) float32.
        stamps_ns: (N,) int64.
        environment_state: (N, E) float32 or None.
        intervention: (N,) bool, where a person drove instead of a policy; None where no episode
            tells.
        policy_actions: (N, A) float32, what the policy wanted; None likewise.
    """

    state: NDArray[np.float32]
    actions: NDArray[np.float32]
    rewards: NDArray[np.float32]
    stamps_ns: NDArray[np.int64]
    environment_state: NDArray[np.float32] | None = None
    intervention: NDArray[np.bool_] | None = None
    policy_actions: NDArray[np.float32] | None = None

    @classmethod
    def of(cls, episodes: Sequence[Episode]) -> "FlatArrays":
        """Joins the episodes."""
        privileged = [e.environment_state for e in episodes if e.environment_state is not None]
        return cls(
            state=np.concatenate([episode.state for episode in episodes]),
            actions=np.concatenate([episode.actions for episode in episodes]),
            rewards=np.concatenate([episode.rewards for episode in episodes]),
            stamps_ns=np.concatenate([episode.stamps_ns for episode in episodes]),
            environment_state=np.concatenate(privileged) if privileged else None,
            intervention=_joined([(e.intervention, _nobody(e.actions)) for e in episodes]),
            policy_actions=_joined([(e.policy_actions, e.actions) for e in episodes]),
        )

    def followed_by(self, other: "FlatArrays") -> "FlatArrays":
        """Returns the frames of both; the privileged state only where both have it."""
        both = (self.environment_state, other.environment_state)
        privileged = [x for x in both if x is not None]
        return FlatArrays(
            state=np.concatenate([self.state, other.state]),
            actions=np.concatenate([self.actions, other.actions]),
            rewards=np.concatenate([self.rewards, other.rewards]),
            stamps_ns=np.concatenate([self.stamps_ns, other.stamps_ns]),
            environment_state=np.concatenate(privileged) if len(privileged) == 2 else None,
            intervention=_joined([(f.intervention, _nobody(f.actions)) for f in (self, other)]),
            policy_actions=_joined([(f.policy_actions, f.actions) for f in (self, other)]),
        )

    def rows(self, rows: NDArray[np.int64]) -> "FlatArrays":
        """Returns some of the frames."""
        privileged = self.environment_state
        return FlatArrays(
            state=self.state[rows],
            actions=self.actions[rows],
            rewards=self.rewards[rows],
            stamps_ns=self.stamps_ns[rows],
            environment_state=None if privileged is None else privileged[rows],
            intervention=None if self.intervention is None else self.intervention[rows],
            policy_actions=None if self.policy_actions is None else self.policy_actions[rows],
        )


def _nobody(actions: NDArray[np.float32]) -> NDArray[np.bool_]:
    return np.zeros(len(actions), np.bool_)


def _joined(parts: Sequence[tuple[NDArray[Any] | None, NDArray[Any]]]) -> NDArray[Any] | None:
    """Joins arrays, each with what stands for it where it is missing; None if all are."""
    if all(there is None for there, _ in parts):
        return None
    return np.concatenate([default if there is None else there for there, default in parts])
