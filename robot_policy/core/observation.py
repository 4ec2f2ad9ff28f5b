"""What a policy sees and what it answers with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.errors import SpecError

STATE = "observation.state"
ENVIRONMENT_STATE = "observation.environment_state"
IMAGES = "observation.images"
ACTION = "action"
TASK = "task"


def image_key(camera: str) -> str:
    """Dataset key of a camera's images."""
    return f"{IMAGES}.{camera}"


@dataclass(frozen=True, slots=True)
class Observation:
    """One moment, as the robot or the simulator reports it.

    Attributes:
        stamp_ns: Capture time [ns].
        state: (S,) proprioception.
        environment_state: (E,) privileged simulator state, None on a real arm.
        images: Camera name to (h, w, 3) uint8 RGB.
        instruction: Task text, empty where there is none.
    """

    stamp_ns: int
    state: NDArray[np.float32]
    environment_state: NDArray[np.float32] | None = None
    images: Mapping[str, NDArray[np.uint8]] = field(default_factory=dict[str, NDArray[np.uint8]])
    instruction: str = ""


@dataclass(frozen=True, slots=True)
class Windows:
    """The last T observations and P executed actions of B robots.

    Attributes:
        state: (B, T, S).
        past: (B, P, A) actions executed before now, oldest first.
        valid: (B, T) bool; False where the episode had not begun and the first observation is
            repeated.
        past_valid: (B, P) bool, likewise for `past`, which is zero where nothing was executed.
        environment_state: (B, T, E) or None.
        images: Camera name to (B, T, h, w, 3) uint8.
        instructions: B texts.
    """

    state: NDArray[np.float32]
    past: NDArray[np.float32]
    valid: NDArray[np.bool_]
    past_valid: NDArray[np.bool_]
    environment_state: NDArray[np.float32] | None = None
    images: Mapping[str, NDArray[np.uint8]] = field(default_factory=dict[str, NDArray[np.uint8]])
    instructions: tuple[str, ...] = ()

    @property
    def batch_size(self) -> int:
        """B."""
        return self.state.shape[0]

    @classmethod
    def concatenate(cls, windows: Sequence[Self]) -> Self:
        """Joins several along the batch axis."""
        first = windows[0]
        return replace(
            first,
            state=np.concatenate([w.state for w in windows]),
            past=np.concatenate([w.past for w in windows]),
            valid=np.concatenate([w.valid for w in windows]),
            past_valid=np.concatenate([w.past_valid for w in windows]),
            environment_state=None
            if first.environment_state is None
            else np.concatenate([w.environment_state for w in windows]),  # pyright: ignore
            images={k: np.concatenate([w.images[k] for w in windows]) for k in first.images},
            instructions=tuple(text for w in windows for text in w.instructions),
        )

    def as_sample(self) -> dict[str, Any]:
        """Returns the dict of arrays that a `Pipeline` works on, under the dataset's keys."""
        sample: dict[str, Any] = {STATE: self.state, TASK: self.instructions}
        if self.environment_state is not None:
            sample[ENVIRONMENT_STATE] = self.environment_state
        sample.update({image_key(name): image for name, image in self.images.items()})
        return sample


@dataclass(frozen=True, slots=True)
class Candidates:
    """N action chunks for each of B robots.

    Attributes:
        actions: (B, N, H, A) in the robot's units, the first one for now.
        past: (B, N, P, A) predictions of actions already executed, or None.
    """

    actions: NDArray[np.float32]
    past: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        if self.actions.ndim != 4:
            raise SpecError(
                "candidates must be (B, N, H, A)", where="actions", got=self.actions.shape
            )
        if self.past is not None and self.past.shape[:2] != self.actions.shape[:2]:
            raise SpecError(
                "past and actions disagree in (B, N)",
                where="past",
                expected=self.actions.shape[:2],
                got=self.past.shape[:2],
            )

    def row(self, index: int) -> "Candidates":
        """The candidates of one robot, batch axis kept."""
        past = None if self.past is None else self.past[index : index + 1]
        return Candidates(self.actions[index : index + 1], past)
