"""What was commanded before: all that a limit may remember, and it is handed in."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_KEPT = 3
"""Commands that the third difference of positions, the jerk, reaches back to."""


@dataclass(frozen=True, slots=True)
class Sent:
    """The last actions that were sent, newest last; none where the robot is at rest.

    Attributes:
        actions: Up to three of (A,).
    """

    actions: tuple[NDArray[np.float32], ...] = ()

    def then(self, action: NDArray[np.float32], *, rest: NDArray[np.float32]) -> "Sent":
        """Adds an action.

        Args:
            action: (A,) that is sent now.
            rest: (A,) that would have held the robot where it is; it stands for the time before
                the first action.
        """
        before = self.actions or (rest,)
        return Sent((*before, action)[-_KEPT:])


AT_REST = Sent()
