"""Turns an instruction into numbers: a protocol, and an encoder that needs no download."""

import hashlib
import itertools
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.errors import ConfigError, UnknownNameError

INSTRUCTION = "instruction"
"""Key of encoded instructions (B, D) in a batch."""


class TextEncoder(Protocol):
    """Maps texts to vectors; the same text always to the same vector."""

    @property
    def features(self) -> int:
        """D, length of a vector."""
        ...

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Returns (B, D) for B texts."""
        ...


class HashingTextEncoder:
    """Signed feature hashing of words, pairs of words and letter trigrams (Weinberger et al. 2009).

    e_j = sum over the text's features f with h(f) = j of s(f), scaled to length 1. It learns
    nothing and knows no synonyms, but texts that share words or stems lie closer than others, and
    it needs neither weights nor a network connection. Upper case, punctuation and repeated spaces
    make no difference.

    Args:
        features: D, at least 8.

    Raises:
        ConfigError: If D is too small.
    """

    def __init__(self, features: int = 64) -> None:
        if features < 8:
            raise ConfigError("too small", where="text_features", expected=">= 8", got=features)
        self._features = features
        # An instruction is the same for a whole episode; hashing it in every step is waste.
        self._encode_one = lru_cache(maxsize=4096)(self._hashed)

    @property
    def features(self) -> int:
        """D."""
        return self._features

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Returns (B, D); an empty text is the zero vector."""
        if not texts:
            return np.zeros((0, self._features), dtype=np.float32)
        return np.stack([self._encode_one(text) for text in texts])

    def _hashed(self, text: str) -> NDArray[np.float32]:
        vector = np.zeros(self._features, dtype=np.float32)
        for feature in _text_features(text):
            digest = hashlib.blake2b(feature.encode(), digest_size=8).digest()
            number = int.from_bytes(digest, "little")
            vector[(number >> 1) % self._features] += 1.0 if number & 1 else -1.0
        length = float(np.linalg.norm(vector))
        vector = vector / length if length > 0 else vector
        vector.setflags(write=False)
        return vector


def _text_features(text: str) -> list[str]:
    words = re.findall(r"\w+", text.lower())
    pairs = [f"{a} {b}" for a, b in itertools.pairwise(words)]
    trigrams = [
        f"#{w[i : i + 3]}" for word in words for w in [f"<{word}>"] for i in range(len(word))
    ]
    return [*words, *pairs, *trigrams]


def make_text_encoder(name: str, *, features: int) -> TextEncoder:
    """Builds a text encoder.

    Args:
        name: ``hashing``.
        features: D.

    Raises:
        UnknownNameError: If there is no such encoder.
    """
    if name != "hashing":
        raise UnknownNameError.of("text encoder", name, ["hashing"])
    return HashingTextEncoder(features)
