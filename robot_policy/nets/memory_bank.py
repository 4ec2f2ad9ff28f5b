"""Memories: situations that were seen, and the chunks that were executed in them."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from robot_policy.core.errors import ConfigError
from robot_policy.nets.memory_index import MemoryIndex, load_faiss

_ROWS_AT_ONCE = 4096
_FLOAT_BYTES, _INDEX_BYTES = 4, 8


class MemoryBank(nn.Module):
    """K keys in the network's units, each with a chunk of actions.

    Empty until `fill`; a checkpoint brings its own. Distances are root mean squares over the
    entries of a key, so that they do not grow with the number of entries.

    Args:
        key_size: D.
        chunk_shape: (L, A).
        indexed: Search by an index, which is faster among tens of thousands and may miss the
            nearest; on a CPU, and not in training or in an exported policy, which look at all.

    Raises:
        ConfigError: If it should be indexed and faiss is not installed.

    Attributes:
        keys: (K, D).
        chunks: (K, L, A).
        episodes: (K,) the episode each was seen in.
        frames: (K,) the frame of it.
    """

    keys: Tensor
    chunks: Tensor
    episodes: Tensor
    frames: Tensor
    half_squares: Tensor

    def __init__(
        self, key_size: int, chunk_shape: tuple[int, int], *, indexed: bool = False
    ) -> None:
        super().__init__()
        if indexed:
            load_faiss()
        self.register_buffer("frames", torch.zeros(0, dtype=torch.int64))
        self._indexed = indexed
        self._index: MemoryIndex | None = None
        self.register_buffer("half_squares", torch.zeros(0), persistent=False)
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
        megabytes = count * (_FLOAT_BYTES * numbers + 2 * _INDEX_BYTES) / 1e6
        if megabytes > most_megabytes:
            raise ConfigError(
                f"{count} memories would take {megabytes:.2g} MB",
                where="most_megabytes",
                expected=f"at most {most_megabytes:g} MB",
            )

    def fill(self, keys: Tensor, chunks: Tensor, episodes: Tensor, frames: Tensor) -> None:
        """Puts memories in place of those that are there."""
        self.keys, self.chunks = keys.clone(), chunks.clone()
        self.episodes, self.frames = episodes.clone(), frames.clone()
        self._keys_changed()

    def nearest(self, queries: Tensor, *, without: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Finds the nearest memory of every query.

        Args:
            queries: (B, D).
            without: (B,) episodes whose memories do not count: in training a situation would find
                itself, or the moment before it, which no situation does at run time.

        Returns:
            Distances (B,), and indices (B,).
        """
        if without is not None or self._searches_index():
            distances, found = self.find(queries, 1, without=without)
            return distances[:, 0], found[:, 0]
        if not self.keys.is_cuda and not torch.compiler.is_exporting():
            return self._nearest_by_numpy(queries)
        found = self._similarity(queries).argmax(1)
        return self._apart(queries, found), found

    def _nearest_by_numpy(self, queries: Tensor) -> tuple[Tensor, Tensor]:
        """The same with a quarter of the cost per call, which is most of it for one query."""
        keys, asked = self.keys.numpy(), queries.detach().numpy()
        found = (asked @ keys.T - self.half_squares.numpy()).argmax(1)
        apart = keys[found] - asked
        distances = np.sqrt(np.einsum("bd,bd->b", apart, apart) / keys.shape[1])
        return torch.from_numpy(distances), torch.from_numpy(found)

    def find(
        self, queries: Tensor, count: int, *, without: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Finds the `count` nearest memories of every query, or as many as there are.

        Returns:
            Distances (B, k), the smallest first, inf where there is none of another episode, and
            indices (B, k).
        """
        count = min(count, len(self))
        if without is None and self._searches_index():
            found = self._look_up(queries, count)
            return self._apart(queries, found), found
        similarity = self._similarity(queries)
        if without is not None:
            own = without[:, None] == self.episodes[None]
            similarity = similarity.masked_fill(own, -torch.inf)
        nearness, found = similarity.topk(count, dim=1)
        distances = self._apart(queries, found)
        return distances.masked_fill(nearness.isneginf(), torch.inf), found

    def _similarity(self, queries: Tensor) -> Tensor:
        """(B, K), larger is nearer: |q - k|^2 = |q|^2 - 2 (q k - |k|^2 / 2)."""
        return torch.addmm(self.half_squares, queries, self.keys.T, beta=-1.0)

    def _apart(self, queries: Tensor, found: Tensor) -> Tensor:
        """Distances of queries (B, D) to memories (B,) or (B, k).

        From their differences, so that the distance of a memory to itself is 0.
        """
        apart = self.keys[found] - (queries if found.ndim == 1 else queries[:, None])
        return apart.square().mean(-1).sqrt()

    def _searches_index(self) -> bool:
        return self._indexed and not self.keys.is_cuda and not torch.compiler.is_exporting()

    def _look_up(self, queries: Tensor, count: int) -> Tensor:
        if self._index is None:
            self._index = MemoryIndex(self.keys.numpy())
        return torch.from_numpy(self._index.find(queries.detach().numpy(), count))

    def _load_from_state_dict(
        self, state_dict: Mapping[str, Any], prefix: str, *arguments: Any
    ) -> None:
        """Takes as many memories as the checkpoint has."""
        for name in ("keys", "chunks", "episodes", "frames"):
            value = state_dict.get(f"{prefix}{name}")
            if value is not None:
                setattr(self, name, torch.empty_like(value))
        super()._load_from_state_dict(state_dict, prefix, *arguments)  # pyright: ignore
        self._keys_changed()

    def _keys_changed(self) -> None:
        self.half_squares = 0.5 * self.keys.square().sum(1)
        self._index = None


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


def frames_of(episodes: Tensor) -> Tensor:
    """Returns the frame (N,) that each window is of, of all windows (N,) in their order."""
    place = torch.arange(len(episodes), device=episodes.device)
    begins = torch.ones_like(episodes, dtype=torch.bool)
    begins[1:] = episodes[1:] != episodes[:-1]
    return place - torch.where(begins, place, 0).cummax(0).values
