"""One demonstration or rollout."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.errors import SpecError


class Success(StrEnum):
    """Whether an episode reached its goal."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Episode:
    """T observations and the T actions taken on them.

    Attributes:
        stamps_ns: (T,) int64 capture times [ns], strictly increasing.
        state: (T, S) float32.
        actions: (T, A) float32; ``actions[t]`` was commanded after observing ``state[t]``.
        task: Instruction text.
        rewards: (T,) float32.
        success: Outcome.
        environment_state: (T, E) float32 or None.
        images: Camera name to (T, h, w, 3) uint8.
        metadata: Anything else, JSON-ready: seed, quality, operator.
        intervention: (T,) bool, where a person drove instead of the policy; None where no policy
            took part.
        policy_actions: (T, A) float32, what the policy wanted, also where a person drove; None
            likewise.
    """

    stamps_ns: NDArray[np.int64]
    state: NDArray[np.float32]
    actions: NDArray[np.float32]
    task: str
    rewards: NDArray[np.float32]
    success: Success = Success.UNKNOWN
    environment_state: NDArray[np.float32] | None = None
    images: Mapping[str, NDArray[np.uint8]] = field(default_factory=dict[str, NDArray[np.uint8]])
    metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])
    intervention: NDArray[np.bool_] | None = None
    policy_actions: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        length = len(self.stamps_ns)
        if length == 0:
            raise SpecError("an episode needs at least one step", where="stamps_ns")
        lengths = {
            "state": len(self.state),
            "actions": len(self.actions),
            "rewards": len(self.rewards),
            **{f"images.{name}": len(frames) for name, frames in self.images.items()},
        }
        for name in ("environment_state", "intervention", "policy_actions"):
            if getattr(self, name) is not None:
                lengths[name] = len(getattr(self, name))
        for name, count in lengths.items():
            if count != length:
                raise SpecError("wrong number of steps", where=name, expected=length, got=count)
        if length > 1 and not (np.diff(self.stamps_ns) > 0).all():
            raise SpecError("capture times must increase", where="stamps_ns")

    def __len__(self) -> int:
        return len(self.stamps_ns)
