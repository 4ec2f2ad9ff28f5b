"""What a limit is asked, and what it answers."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from robot_policy.runtime.safety.sent import Sent


@dataclass(frozen=True, slots=True)
class Decision:
    """An action that may be sent, and why it is not the one that was asked for.

    Attributes:
        action: (A,) in the robot's units. Meaningless to a caller that must stop.
        reasons: One short phrase per change, empty where nothing was changed.
        stop: Whether the arm must hold instead of executing `action`.
        held: Whether there was nothing to execute, so that `action` holds the arm.
        following: (R, A) what is planned after `action`, within the limits too; None for a robot
            that takes one action at a time.
    """

    action: NDArray[np.float32]
    reasons: tuple[str, ...] = ()
    stop: bool = False
    held: bool = False
    following: NDArray[np.float32] | None = None


class Stage(IntEnum):
    """How a limit restricts, which decides when its turn is.

    Limits of a later stage keep what those before have achieved.

    CHECK: Stops or lets pass.
    LENGTH: Bounds the length of the translation or the rotation, direction kept. First, so that a
        target far away does not lose its direction to the clips.
    CLIP: Clips entries one by one, each towards where the robot is now.
    PART: Shortens the translation, direction kept.
    WHOLE: Shortens the whole motion, direction kept.
    """

    CHECK = 0
    LENGTH = 1
    CLIP = 2
    PART = 3
    WHOLE = 4


class Limit(Protocol):
    """One rule. It never widens a motion and applying it twice changes nothing more."""

    @property
    def stage(self) -> Stage:
        """When its turn is."""
        ...

    def restrict(
        self,
        action: NDArray[np.float32],
        state: NDArray[np.float32],
        dt_s: float,
        *,
        sent: Sent = ...,
    ) -> Decision:
        """Restricts one action.

        Args:
            action: (A,) to be executed.
            state: (S,) the robot now.
            dt_s: Control period [s].
            sent: What was commanded before; nothing where the robot is at rest.
        """
        ...


class ChunkCheck(Protocol):
    """One rule about a whole chunk, before any of its actions runs."""

    def check(
        self,
        chunk: NDArray[np.float32],
        state: NDArray[np.float32],
        dt_s: float,
        *,
        sent: Sent = ...,
    ) -> tuple[str, ...]:
        """Returns why a chunk (H, A) must not be executed; nothing where it may."""
        ...
