"""A sentence encoder that comes with the package: synonyms, and the order of what matters."""

import hashlib
import itertools
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np
import yaml
from numpy.typing import NDArray

from robot_policy.nets.summed_text import SummedTextEncoder

_FILE = Path(__file__).with_name("synonyms.yaml")
_PAIR = 1.0
"""Weight of two words in their order, over that of a word."""
_ENDINGS = ("ing", "ed", "es", "s")
_STEM = 3
"""Letters that must be left of a word without its ending."""


class LexicalTextEncoder(SummedTextEncoder):
    """Random directions of meanings, summed: e = sum of r(m) + sum of r(m before n), length 1.

    Words of one meaning (`synonyms.yaml`) are the same m, little words count nothing, and every
    pair of meanings counts in its order, so that `the cube on the tray` is not `the tray on the
    cube`. r(x) is a Gaussian vector that a hash of x seeds (Kanerva et al. 2000, random indexing).
    No weights, no download, no learning; it knows the meanings of its list and no others.

    Args:
        features: D, at least 32.

    Raises:
        ConfigError: If D is too small.
    """

    def __init__(self, features: int = 256) -> None:
        super().__init__(features, least=32)
        self._direction = lru_cache(maxsize=65536)(self._drawn)

    def _sum(self, text: str) -> NDArray[np.float64]:
        meanings = list(_meanings(text))
        total = np.zeros(self._features)
        for meaning in meanings:
            total += self._direction(meaning)
        for before, after in itertools.combinations(meanings, 2):
            total += _PAIR * self._direction(f"{before} {after}")
        return total

    def _drawn(self, what: str) -> NDArray[np.float64]:
        seed = int.from_bytes(hashlib.blake2b(what.encode(), digest_size=8).digest(), "little")
        return np.random.default_rng(seed).standard_normal(self._features)


def _meanings(text: str) -> Iterator[str]:
    groups, ignored = _lexicon()
    for word in re.findall(r"\w+", text.lower()):
        forms = [word, *_without_ending(word)]
        if word not in ignored:
            yield next((groups[form] for form in forms if form in groups), forms[-1])


def _without_ending(word: str) -> list[str]:
    return [
        word.removesuffix(ending)
        for ending in _ENDINGS
        if word.endswith(ending) and len(word) - len(ending) >= _STEM
    ][:1]


@lru_cache(maxsize=1)
def _lexicon() -> tuple[Mapping[str, str], frozenset[str]]:
    data = yaml.safe_load(_FILE.read_text())
    groups = {word: group[0] for group in data["groups"] for word in map(str, group)}
    return groups, frozenset(map(str, data["ignored"]))
