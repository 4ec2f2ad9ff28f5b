"""A search among many keys that does not look at all of them, by faiss (optional)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from robot_policy.core.errors import ConfigError

_KEYS_PER_CELL = 400
_CELLS_SEARCHED = 16
_KEYS_LEARNED_FROM = 64
"""Per cell."""


class MemoryIndex:
    """Keys sorted into cells, of which only those around a query are searched (IVF).

    Nearest keys may be missed where they lie in a cell that is not searched; up to 16 cells, some
    6400 keys, none is.

    Args:
        keys: (K, D) float32.

    Raises:
        ConfigError: If faiss is not installed.
    """

    def __init__(self, keys: NDArray[np.float32]) -> None:
        faiss = load_faiss()
        cells = max(1, len(keys) // _KEYS_PER_CELL)
        # Kept: the index does not own it.
        self._quantizer: Any = faiss.IndexFlatL2(keys.shape[1])
        self._index: Any = faiss.IndexIVFFlat(self._quantizer, keys.shape[1], cells)
        self._index.cp.seed = 0
        self._index.cp.min_points_per_centroid = 1
        self._index.cp.max_points_per_centroid = _KEYS_LEARNED_FROM
        self._index.nprobe = min(cells, _CELLS_SEARCHED)
        keys = np.ascontiguousarray(keys)
        self._index.train(keys)
        self._index.add(keys)

    def find(self, queries: NDArray[np.float32], count: int) -> NDArray[np.int64]:
        """Returns which keys (B, count) are near the queries (B, D), the nearest first.

        Where the cells that are searched hold fewer, the nearest is repeated.
        """
        _, found = self._index.search(np.ascontiguousarray(queries), count)
        return np.where(found < 0, np.maximum(found[:, :1], 0), found)


def load_faiss() -> Any:
    """Imports faiss.

    Raises:
        ConfigError: If it is not installed.
    """
    try:
        import faiss  # pyright: ignore[reportMissingTypeStubs, reportMissingImports]
    except ImportError as error:
        raise ConfigError(
            "faiss is not installed",
            where="search index",
            hint="pip install 'robot-policy[index]', or search exactly",
        ) from error
    return faiss
