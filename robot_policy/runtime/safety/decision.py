"""What a limit answers."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Decision:
    """An action that may be sent, and why it is not the one that was asked for.

    Attributes:
        action: (A,) in the robot's units. Meaningless to a caller that must stop.
        reasons: One short phrase per change, empty where nothing was changed.
        stop: Whether the arm must hold instead of executing `action`.
    """

    action: NDArray[np.float32]
    reasons: tuple[str, ...] = ()
    stop: bool = False


class Limit(Protocol):
    """One rule. It never widens a motion and applying it twice changes nothing more."""

    def restrict(
        self, action: NDArray[np.float32], state: NDArray[np.float32], dt_s: float
    ) -> Decision:
        """Restricts one action.

        Args:
            action: (A,) to be executed.
            state: (S,) the robot now.
            dt_s: Control period [s].
        """
        ...
