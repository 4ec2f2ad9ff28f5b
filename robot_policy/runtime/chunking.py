"""Which action of which chunk is executed when."""

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.errors import ConfigError


class RecedingHorizon:
    """Executes the first Ta actions of a chunk, then asks for a new one.

    Args:
        execute_steps: Ta, at least 1 and at most the horizon H.
        horizon: H.

    Raises:
        ConfigError: If Ta lies outside of 1 .. H.
    """

    def __init__(self, *, execute_steps: int, horizon: int) -> None:
        if not 1 <= execute_steps <= horizon:
            raise ConfigError(
                "the executed part of a chunk must fit into the chunk",
                where="execute_steps",
                expected=f"1 .. {horizon} (the policy's horizon)",
                got=execute_steps,
            )
        self.execute_steps = execute_steps
        self._chunk: NDArray[np.float32] | None = None
        self._next = 0

    def reset(self) -> None:
        """Drops the current chunk."""
        self._chunk = None
        self._next = 0

    @property
    def needs_chunk(self) -> bool:
        """Whether `put` must come before the next `take`."""
        return self._chunk is None or self._next >= self.execute_steps

    def put(self, chunk: NDArray[np.float32]) -> None:
        """Replaces the chunk by (H, A), whose first action is for now."""
        self._chunk = chunk
        self._next = 0

    def take(self) -> NDArray[np.float32]:
        """Returns the action (A,) for now."""
        assert self._chunk is not None
        action = self._chunk[self._next]
        self._next += 1
        return action
