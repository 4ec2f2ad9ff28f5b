"""Multi-head attention (Vaswani et al. 2017): softmax(Q K^T / sqrt(d)) V in every head."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from robot_policy.nets.draws import Draws
from robot_policy.nets.dropout import dropout


class SelfAttention(nn.Module):
    """Every token attends to itself and those before it.

    Args:
        width: Length of a token.
        heads: Must divide `width`.
        rate: Of the dropout of the weights, in training.
    """

    def __init__(self, width: int, *, heads: int, rate: float) -> None:
        super().__init__()
        self._heads = heads
        self._rate = rate
        self.query_key_value = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor, *, draws: Draws | None = None) -> Tensor:
        """Returns (B, L, width) for tokens of that shape."""
        query, key, value = (
            _split(part, self._heads) for part in self.query_key_value(x).chunk(3, dim=-1)
        )
        if draws is None or self._rate == 0.0:
            heads = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        else:
            length = x.shape[-2]
            before = torch.ones(length, length, dtype=torch.bool, device=x.device).tril()
            heads = dropout(_weights(query, key, before), self._rate, draws) @ value
        return self.out(_merge(heads))


class CrossAttention(nn.Module):
    """Tokens attend to a memory whose keys and values may be computed beforehand.

    Args:
        width: Length of a token.
        heads: Must divide `width`.
        rate: Of the dropout of the weights, in training.
        visible: (L, M) bool, which entry of the memory a token may attend to; None for all.
    """

    visible: Tensor | None

    def __init__(self, width: int, *, heads: int, rate: float, visible: Tensor | None) -> None:
        super().__init__()
        self._heads = heads
        self._rate = rate
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)
        self.register_buffer("visible", visible, persistent=False)

    def keys_values(self, memory: Tensor) -> Tensor:
        """Returns (B, 2, heads, M, d), keys before values, for a memory (B, M, width)."""
        key, value = self.key_value(memory).chunk(2, dim=-1)
        return torch.stack([_split(key, self._heads), _split(value, self._heads)], dim=1)

    def forward(self, x: Tensor, keys_values: Tensor, *, draws: Draws | None = None) -> Tensor:
        """Returns (B, L, width) for tokens of that shape."""
        key, value = keys_values.unbind(dim=1)
        query = _split(self.query(x), self._heads)
        if draws is None or self._rate == 0.0:
            heads = functional.scaled_dot_product_attention(
                query, key, value, attn_mask=self.visible
            )
        else:
            heads = dropout(_weights(query, key, self.visible), self._rate, draws) @ value
        return self.out(_merge(heads))

    def weights(self, x: Tensor, keys_values: Tensor) -> Tensor:
        """Returns the weights (B, heads, L, M) that `forward` uses without dropout."""
        return _weights(_split(self.query(x), self._heads), keys_values[:, 0], self.visible)


def _weights(query: Tensor, key: Tensor, visible: Tensor | None) -> Tensor:
    scores = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])
    if visible is not None:
        scores = scores.masked_fill(~visible, -math.inf)
    return scores.softmax(dim=-1)


def _split(x: Tensor, heads: int) -> Tensor:
    """(B, L, width) to (B, heads, L, d)."""
    return x.unflatten(-1, (heads, -1)).transpose(-3, -2)


def _merge(x: Tensor) -> Tensor:
    """Inverse of `_split`."""
    return x.transpose(-3, -2).flatten(-2)
