"""What a schedule must offer, and what those have in common that follow one chunk at a time."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.specs import PolicySpec
from robot_policy.runtime.agent_config import AgentConfig
from robot_policy.runtime.chunking import resolve_execute_steps

type Actions = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Prefix:
    """Actions that a new chunk has to begin with, as `Windows` carries them.

    Attributes:
        actions: (C, A).
        weights: (C,) how binding each is: 1 will be executed whatever the plan says, 0 is open.
    """

    actions: Actions
    weights: Actions


class Schedule(ABC):
    """Decides when to plan, and which action is executed now.

    A chunk begins at the observation it was planned from. Between that observation and the moment
    its chunk is there, actions of older chunks have been executed: as many actions of the new one
    lie in the past. Their number is counted, not estimated, and steps in which the arm held are
    none of them, because the arm did not get on.

    Args:
        spec: Of the policy.
        config: Of the agent.

    Raises:
        ConfigError: If the two do not fit.
    """

    uses_prefix = False
    """Whether the policy is told how its chunk has to begin."""

    @abstractmethod
    def __init__(self, spec: PolicySpec, config: AgentConfig) -> None: ...

    @abstractmethod
    def reset(self) -> None:
        """Drops all chunks."""

    @abstractmethod
    def wants_plan(self, *, delay: int) -> bool:
        """Whether to plan now, if no plan is under way.

        Args:
            delay: Control steps that a plan has taken lately, at most.
        """

    def prefix(self, executed: Actions, *, delay: int) -> Prefix | None:
        """Returns how the chunk that is asked for now has to begin; None leaves it open.

        Args:
            executed: (I, A) actions executed since the observation it will be planned from.
            delay: As in `wants_plan`.
        """
        del executed, delay
        return None

    @abstractmethod
    def put(self, chunk: Actions, *, executed: Actions) -> None:
        """Takes a new chunk.

        Args:
            chunk: (H, A).
            executed: (I, A) actions executed since the observation it was planned from.
        """

    @abstractmethod
    def take(self) -> Actions | None:
        """Returns the action (A,) for now; None if there is none and the arm has to hold."""

    @abstractmethod
    def upcoming(self) -> Actions:
        """Returns (R, A): what will be executed next if nothing new comes."""


class OneChunk(Schedule):
    """Follows the newest chunk; the next plan is asked for Ta actions after its observation.

    Where a plan takes long it is asked for earlier, so that it arrives before the chunk ends.
    """

    def __init__(self, spec: PolicySpec, config: AgentConfig) -> None:
        self.execute_steps = resolve_execute_steps(config.execute_steps, horizon=spec.horizon)
        self.spec = spec
        self.reset()

    def reset(self) -> None:
        """Drops the chunk."""
        self._chunk: Actions | None = None
        self._next = 0

    @property
    def remaining(self) -> Actions:
        """(R, A) actions of the chunk that are still to come."""
        if self._chunk is None:
            return np.zeros((0, self.spec.action.size), np.float32)
        return self._chunk[self._next :]

    def upcoming(self) -> Actions:
        """Returns the rest of the chunk."""
        return self.remaining

    def wants_plan(self, *, delay: int) -> bool:
        """Whether Ta actions are used up, or the rest would not last for `delay` steps."""
        return self._next >= self.execute_steps or len(self.remaining) <= delay

    def put(self, chunk: Actions, *, executed: Actions) -> None:
        """Goes on in `chunk` where the arm is; one that is over already is of no use."""
        index = len(executed)
        if index < len(chunk):
            self._chunk, self._next = self.joined(chunk, executed), index

    def joined(self, chunk: Actions, executed: Actions) -> Actions:
        """Returns `chunk` (H, A) with its beginning fitted to what is executed now."""
        del executed
        return chunk

    def take(self) -> Actions | None:
        """Returns the next action of the chunk, None after its end."""
        if not len(self.remaining):
            return None
        action = self.remaining[0]
        self._next += 1
        return action
