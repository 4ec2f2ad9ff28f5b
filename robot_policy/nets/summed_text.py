"""What encoders that add up a text's parts have in common."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.errors import ConfigError


class SummedTextEncoder(ABC):
    """Sums, scaled to length 1; see `TextEncoder`.

    Args:
        features: D.
        least: Smallest D that makes sense.

    Raises:
        ConfigError: If D is too small.
    """

    def __init__(self, features: int, *, least: int) -> None:
        if features < least:
            raise ConfigError(
                "too small", where="text_features", expected=f">= {least}", got=features
            )
        self._features = features
        # An instruction is the same for a whole episode; summing it up in every step is waste.
        self._encode_one = lru_cache(maxsize=4096)(self._scaled)

    @property
    def features(self) -> int:
        """D."""
        return self._features

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Returns (B, D); a text of which nothing counts is the zero vector."""
        if not texts:
            return np.zeros((0, self._features), np.float32)
        return np.stack([self._encode_one(text) for text in texts])

    @abstractmethod
    def _sum(self, text: str) -> NDArray[np.floating[Any]]:
        """Returns (D,)."""

    def _scaled(self, text: str) -> NDArray[np.float32]:
        total = self._sum(text)
        length = float(np.linalg.norm(total))
        vector = (total / length if length > 0 else total).astype(np.float32)
        vector.setflags(write=False)
        return vector
