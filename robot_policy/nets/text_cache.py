"""Outputs of a slow text encoder, kept on disk: the same text is encoded once per machine."""

import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.errors import DataError
from robot_policy.core.files import replacing
from robot_policy.nets.language import TextEncoder


class CachedTextEncoder:
    """Like the encoder that `make` builds, which is built only for a text that is not kept.

    Args:
        make: Builds the encoder.
        features: D.
        key: What the vectors depend on: another key is another folder.
        folder: Where they are kept; one file per text, written whole or not at all.
    """

    def __init__(
        self, make: Callable[[], TextEncoder], *, features: int, key: str, folder: Path
    ) -> None:
        self._make = make
        self._features = features
        self._folder = folder / "text" / hashlib.sha256(key.encode()).hexdigest()[:32]
        self._encoder: TextEncoder | None = None
        self._known: dict[str, NDArray[np.float32]] = {}

    @property
    def features(self) -> int:
        """D."""
        return self._features

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Returns (B, D)."""
        missing = [t for t in dict.fromkeys(texts) if t not in self._known and not self._read(t)]
        if missing:
            if self._encoder is None:
                self._encoder = self._make()
            for text, vector in zip(missing, self._encoder.encode(missing), strict=True):
                self._known[text] = vector
                with replacing(self._file(text)) as temporary, temporary.open("wb") as file:
                    np.save(file, vector, allow_pickle=False)
        if not texts:
            return np.zeros((0, self._features), np.float32)
        return np.stack([self._known[text] for text in texts])

    def _read(self, text: str) -> bool:
        path = self._file(text)
        if not path.is_file():
            return False
        try:
            vector = np.load(path, allow_pickle=False)
        except (ValueError, OSError, EOFError):
            return False  # it is written anew
        if vector.shape != (self._features,):
            raise DataError("not a vector of this encoder", where=path, got=vector.shape)
        self._known[text] = vector.astype(np.float32)
        return True

    def _file(self, text: str) -> Path:
        return self._folder / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.npy"


def user_cache() -> Path:
    """The folder in which outputs are kept: $ROBOT_POLICY_CACHE, or the user's cache folder."""
    chosen = os.environ.get("ROBOT_POLICY_CACHE")
    base = os.environ.get("XDG_CACHE_HOME")
    return (
        Path(chosen)
        if chosen
        else (Path(base) if base else Path.home() / ".cache") / "robot-policy"
    )
