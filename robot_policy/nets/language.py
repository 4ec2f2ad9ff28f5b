"""Turns an instruction into numbers: a protocol, and an encoder that needs no download."""

import hashlib
import itertools
import re
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.errors import ConfigError, UnknownNameError
from robot_policy.core.registry import Registry
from robot_policy.nets.summed_text import SummedTextEncoder

INSTRUCTION = "instruction"
"""Key of encoded instructions in a batch: (B, D) for critics, (B, 1 + W, D) where words count."""


class TextEncoder(Protocol):
    """Maps texts to vectors; the same text always to the same vector."""

    @property
    def features(self) -> int:
        """D, length of a vector."""
        ...

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Returns (B, D) for B texts."""
        ...


class HashingTextEncoder(SummedTextEncoder):
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
        super().__init__(features, least=8)

    def _sum(self, text: str) -> NDArray[np.float32]:
        vector = np.zeros(self._features, dtype=np.float32)
        for feature in _text_features(text):
            digest = hashlib.blake2b(feature.encode(), digest_size=8).digest()
            number = int.from_bytes(digest, "little")
            vector[(number >> 1) % self._features] += 1.0 if number & 1 else -1.0
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
        name: ``hashing``; ``lexical``, which knows synonyms; or ``openclip:FOLDER``, the text tower
            of a model in a local folder, cached on disk.
        features: D; of a tower it is what the tower has, and must be said right.

    Raises:
        UnknownNameError: If there is no such encoder.
        ConfigError: If D does not suit, or the folder holds no such model.
    """
    kind, _, folder = name.partition(":")
    if kind not in _ENCODERS:
        raise UnknownNameError.of("text encoder", name, _ENCODERS)
    if kind != "openclip":
        return _ENCODERS[kind](features)
    encoder = _ENCODERS[kind](folder)
    if encoder.features != features:
        raise ConfigError(
            "another length of the vectors",
            where=f"text_features of {name}",
            expected=encoder.features,
            got=features,
        )
    return encoder


_ENCODERS = Registry(
    "text encoder",
    {
        "hashing": "robot_policy.nets.language:HashingTextEncoder",
        "lexical": "robot_policy.nets.lexical_text:LexicalTextEncoder",
        "openclip": "robot_policy.nets.openclip_text:cached_openclip_text",
    },
)


class SentenceAndWords:
    """A text as several vectors: of the whole, and of its words in their order.

    Args:
        encoder: Of a text.
        words: W, words that are kept; shorter texts are filled up with zero vectors.
    """

    def __init__(self, encoder: TextEncoder, *, words: int) -> None:
        self._encoder = encoder
        self._words = words

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Returns (B, 1 + W, D): the sentence before its words.

        Raises:
            ConfigError: If a text holds no word.
        """
        encoded = np.zeros((len(texts), 1 + self._words, self._encoder.features), np.float32)
        for row, text in enumerate(texts):
            words = re.findall(r"\w+", text.lower())
            if not words:
                raise ConfigError(
                    "there is no instruction, and the policy follows one",
                    where="instruction",
                    expected="a sentence",
                    got=repr(text),
                )
            kept = words[: self._words]
            encoded[row, : 1 + len(kept)] = self._encoder.encode([text, *kept])
        return encoded
