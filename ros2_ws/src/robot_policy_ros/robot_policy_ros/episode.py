"""How an episode of the twin goes, and its form on the topic ``~/episode``."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from robot_policy.core.environment import Step


@dataclass(slots=True)
class Episode:
    """Counts the steps of one episode.

    Attributes:
        seed: Of the start.
        max_steps: Steps after which it ends.
        step: Steps so far.
        held: Steps in which the arm held for want of a command.
        return_: Sum of the rewards.
        success: Whether the goal was reached.
        finished: Whether it is over.
    """

    seed: int
    max_steps: int
    step: int = 0
    held: int = 0
    return_: float = 0.0
    success: bool = False
    finished: bool = False

    def count(self, step: Step, *, held: bool) -> None:
        """Adds a step."""
        self.step += 1
        self.held += held
        self.return_ += step.reward
        self.success = step.success
        self.finished = step.done or self.step >= self.max_steps

    @property
    def summary(self) -> str:
        """One word for a person."""
        if not self.finished:
            return "running" if self.step else "waiting for the first command"
        return "solved" if self.success else "not solved"

    def values(self) -> dict[str, str]:
        """Names and values, as they are published."""
        return {
            "seed": str(self.seed),
            "max_steps": str(self.max_steps),
            "step": str(self.step),
            "held": str(self.held),
            "return": str(self.return_),
            "success": str(self.success).lower(),
            "finished": str(self.finished).lower(),
        }

    @classmethod
    def from_values(cls, values: Mapping[str, str]) -> Self:
        """Inverse of `values`."""
        return cls(
            seed=int(values["seed"]),
            max_steps=int(values["max_steps"]),
            step=int(values["step"]),
            held=int(values["held"]),
            return_=float(values["return"]),
            success=values["success"] == "true",
            finished=values["finished"] == "true",
        )
