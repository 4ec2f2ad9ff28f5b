"""The text tower of an OpenCLIP model as a text encoder."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from robot_policy.nets.language import TextEncoder
from robot_policy.nets.openclip_folder import OpenClipFolder
from robot_policy.nets.text_cache import CachedTextEncoder, user_cache


class OpenClipText:
    """Vectors of length 1, as the tower's pooled output gives them.

    Args:
        folder: Of the model.
    """

    def __init__(self, folder: OpenClipFolder) -> None:
        self._model, self._tokenizer = folder.load()
        self._features = folder.embedding

    @property
    def features(self) -> int:
        """D."""
        return self._features

    @torch.inference_mode()
    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Returns (B, D)."""
        if not texts:
            return np.zeros((0, self._features), np.float32)
        encoded = self._model.encode_text(self._tokenizer(list(texts)), normalize=True)
        return encoded.float().numpy()


def cached_openclip_text(path: str) -> TextEncoder:
    """Returns the text tower of the model in a folder, its outputs kept on disk.

    Raises:
        ConfigError: If there is no such model there.
    """
    folder = OpenClipFolder.open(path)
    return CachedTextEncoder(
        lambda: OpenClipText(folder),
        features=folder.embedding,
        key=folder.key,
        folder=user_cache(),
    )
