"""What a policy sees and what it answers with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.errors import SpecError
from robot_policy.core.steering_record import SteeringRecord

STATE = "observation.state"
ENVIRONMENT_STATE = "observation.environment_state"
IMAGES = "observation.images"
ACTION = "action"
ACTION_PREFIX = "action_prefix"
ACTION_PREFIX_WEIGHTS = "action_prefix_weights"
OBSERVATION_IS_PAD = "observation_is_pad"
TASK = "task"
EPISODE = "episode"
"""In training batches, the number of the episode that a window is from."""
GOAL_CAMERA = "goal"
"""Name under which a policy's spec has the picture of what is wanted. It comes with the task, like
the instruction, and not from a camera of the robot."""


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
        prefix: (B, C, A) actions already decided for the C steps from now on, with which a chunk
            has to begin so that it joins the one under way; None where nothing is decided. Only
            policies whose spec says `joins_prefix` heed it.
        prefix_weights: (B, C) how binding each of them is, from 1, kept exactly, to 0, of no
            effect; None where all are kept. What lies between guides a policy that can be guided
            and is left out by others.
    """

    state: NDArray[np.float32]
    past: NDArray[np.float32]
    valid: NDArray[np.bool_]
    past_valid: NDArray[np.bool_]
    environment_state: NDArray[np.float32] | None = None
    images: Mapping[str, NDArray[np.uint8]] = field(default_factory=dict[str, NDArray[np.uint8]])
    instructions: tuple[str, ...] = ()
    prefix: NDArray[np.float32] | None = None
    prefix_weights: NDArray[np.float32] | None = None

    @property
    def batch_size(self) -> int:
        """B."""
        return self.state.shape[0]

    @classmethod
    def concatenate(cls, windows: Sequence[Self]) -> Self:
        """Joins several along the batch axis; shorter prefixes are filled up with open actions."""
        first = windows[0]
        prefix, prefix_weights = _joined_prefixes(windows)
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
            prefix=prefix,
            prefix_weights=prefix_weights,
        )

    def row(self, index: int) -> "Windows":
        """The window of one robot, batch axis kept."""

        def of[A: NDArray[Any]](array: A | None) -> A | None:
            return None if array is None else array[index : index + 1]  # pyright: ignore

        return replace(
            self,
            state=self.state[index : index + 1],
            past=self.past[index : index + 1],
            valid=self.valid[index : index + 1],
            past_valid=self.past_valid[index : index + 1],
            environment_state=of(self.environment_state),
            images={name: images[index : index + 1] for name, images in self.images.items()},
            instructions=self.instructions[index : index + 1],
            prefix=of(self.prefix),
            prefix_weights=of(self.prefix_weights),
        )

    def as_sample(self) -> dict[str, Any]:
        """Returns the dict of arrays that a `Pipeline` works on, under the dataset's keys."""
        sample: dict[str, Any] = {
            STATE: self.state,
            OBSERVATION_IS_PAD: ~self.valid,
            TASK: self.instructions,
        }
        if self.environment_state is not None:
            sample[ENVIRONMENT_STATE] = self.environment_state
        sample.update({image_key(name): image for name, image in self.images.items()})
        return sample


def _joined_prefixes(
    windows: Sequence[Windows],
) -> tuple[NDArray[np.float32] | None, NDArray[np.float32] | None]:
    """Returns (B, C, A) and (B, C) for the longest of the prefixes; None where there is none."""
    lengths = [0 if w.prefix is None else w.prefix.shape[1] for w in windows]
    prefixes = [w.prefix for w in windows if w.prefix is not None]
    if not prefixes:
        return None, None
    if len(set(lengths)) == 1 and all(w.prefix_weights is None for w in windows):
        return np.concatenate(prefixes), None
    longest, size = max(lengths), prefixes[0].shape[2]
    joined: list[NDArray[np.float32]] = []
    weights: list[NDArray[np.float32]] = []
    for window, length in zip(windows, lengths, strict=True):
        actions = np.zeros((window.batch_size, longest, size), np.float32)
        binding = np.zeros((window.batch_size, longest), np.float32)
        if window.prefix is not None:
            actions[:, :length] = window.prefix
            binding[:, :length] = 1.0 if window.prefix_weights is None else window.prefix_weights
        joined.append(actions)
        weights.append(binding)
    return np.concatenate(joined), np.concatenate(weights)


@dataclass(frozen=True, slots=True)
class Candidates:
    """N action chunks for each of B robots.

    Attributes:
        actions: (B, N, H, A) in the robot's units, the first one for now.
        past: (B, N, P, A) predictions of actions already executed, or None.
        steering: How each of the B was chosen, where N = 1 because it was chosen already.
    """

    actions: NDArray[np.float32]
    past: NDArray[np.float32] | None = None
    steering: tuple[SteeringRecord, ...] = ()

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
        return Candidates(self.actions[index : index + 1], past, self.steering[index : index + 1])
