"""Memories: situations that were seen, and the chunks that were executed in them."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from robot_policy.core.errors import ConfigError

_ROWS_AT_ONCE = 4096
_FLOAT_BYTES, _INDEX_BYTES = 4, 8


class MemoryBank(nn.Module):
    """K keys in the network's units, each with a chunk of actions.

    Empty until `fill`; a checkpoint brings its own. Distances are root mean squares over the
    entries of a key, so that they do not grow with the number of entries.

    Args:
        key_size: D.
        chunk_shape: (L, A).

    Attributes:
        keys: (K, D).
        chunks: (K, L, A).
        episodes: (K,) the episode each was seen in.
    """

    keys: Tensor
    chunks: Tensor
    episodes: Tensor

    def __init__(self, key_size: int, chunk_shape: tuple[int, int]) -> None:
        super().__init__()
        self.register_buffer("keys", torch.zeros(0, key_size))
        self.register_buffer("chunks", torch.zeros(0, *chunk_shape))
        self.register_buffer("episodes", torch.zeros(0, dtype=torch.int64))

    def __len__(self) -> int:
        return len(self.keys)

    def check_size(self, count: int, *, most_megabytes: float) -> None:
        """Checks that `count` memories do not take too much.

        Raises:
            ConfigError: If they would; says how much.
        """
        numbers = self.keys.shape[1] + math.prod(self.chunks.shape[1:])
        megabytes = count * (_FLOAT_BYTES * numbers + _INDEX_BYTES) / 1e6
        if megabytes > most_megabytes:
            raise ConfigError(
                f"{count} memories would take {megabytes:.2g} MB",
                where="most_megabytes",
                expected=f"at most {most_megabytes:g} MB",
            )

    def fill(self, keys: Tensor, chunks: Tensor, episodes: Tensor) -> None:
        """Puts memories in place of those that are there."""
        self.keys, self.chunks, self.episodes = keys.clone(), chunks.clone(), episodes.clone()

    def nearest(self, queries: Tensor, *, without: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Finds the nearest memory of every query.

        Args:
            queries: (B, D).
            without: (B,) episodes whose memories do not count: in training a situation would find
                itself, or the moment before it, which no situation does at run time.

        Returns:
            Distances (B,), and indices (B,).
        """
        distances, index = self.find(queries, 1, without=without)
        return distances[:, 0], index[:, 0]

    def find(
        self, queries: Tensor, count: int, *, without: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Finds the `count` nearest memories of every query, or as many as there are.

        Returns:
            Distances (B, k), the smallest first, and indices (B, k).
        """
        distances = self._distances(queries)
        if without is not None:
            own = without[:, None] == self.episodes[None]
            distances = distances.masked_fill(own, torch.inf)
        found, index = distances.topk(min(count, len(self)), dim=1, largest=False)
        return found, index

    def _distances(self, queries: Tensor) -> Tensor:
        """(B, K). |q - k|^2 = |q|^2 - 2 q k + |k|^2, which is one product of matrices."""
        squares = (queries**2).sum(1, keepdim=True) + (self.keys**2).sum(1)
        product = queries @ self.keys.T
        return ((squares - 2.0 * product).clamp(min=0.0) / self.keys.shape[1]).sqrt()

    def _load_from_state_dict(
        self, state_dict: Mapping[str, Any], prefix: str, *arguments: Any
    ) -> None:
        """Takes as many memories as the checkpoint has."""
        for name in ("keys", "chunks", "episodes"):
            value = state_dict.get(f"{prefix}{name}")
            if value is not None:
                setattr(self, name, torch.empty_like(value))
        super()._load_from_state_dict(state_dict, prefix, *arguments)  # pyright: ignore


def leave_one_out(keys: Tensor, episodes: Tensor, bank: MemoryBank) -> Tensor:
    """Returns the distances (N,) to the nearest memory of another episode; inf where there is none.

    Args:
        keys: (N, D).
        episodes: (N,).
        bank: Where to look.
    """
    parts = [
        bank.nearest(keys[i : i + _ROWS_AT_ONCE], without=episodes[i : i + _ROWS_AT_ONCE])[0]
        for i in range(0, len(keys), _ROWS_AT_ONCE)
    ]
    return torch.cat(parts)
